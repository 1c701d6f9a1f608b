"""An engine's text to the pieces of an answer."""

from __future__ import annotations

import secrets

from puna.chat import Called, Parser, Part, Thinking
from puna.inference.requests import Call, Piece
from puna.types import Delta, TokenLogprob


class Reading:
    """One answer, as it comes."""

    def __init__(self, parser: Parser | None) -> None:
        """Without `parser` all text is content."""
        self._parser = parser
        self._calls = 0
        self.reasoning = 0
        """Tokens of reasoning so far, with the notation before it."""
        self._unread = 0
        """Tokens whose text has not come out of the parser yet."""
        self._held: tuple[TokenLogprob, ...] = ()
        """Of those tokens, if they were asked for."""

    def pieces(self, delta: Delta) -> list[Piece]:
        """What `delta` completes."""
        if self._parser is None:
            return [Piece(text=delta.text, logprobs=delta.logprobs)]
        self._held += delta.logprobs
        self._unread += delta.tokens
        return self._made(self._parser.feed(delta.text))

    def rest(self) -> list[Piece]:
        """What was held back when the answer ended."""
        return self._made(self._parser.finish()) if self._parser else []

    def _made(self, parts: list[Part]) -> list[Piece]:
        if parts:
            if any(isinstance(part, Thinking) for part in parts):
                self.reasoning += self._unread
            self._unread = 0
        if not parts or not self._held:
            return [self._piece(part, ()) for part in parts]
        # From the end, for there are a text's own tokens: what is left before them is notation.
        shares = [self._share(part) for part in reversed(parts)]
        self._held = ()
        return [self._piece(part, share) for part, share in zip(parts, reversed(shares), strict=True)]

    def _share(self, part: Part) -> tuple[TokenLogprob, ...]:
        """The last held tokens, as many as make up the part's text; for a call, all of them."""
        if isinstance(part, Called):
            at = 0
        else:
            at, missing = len(self._held), len(part.text.encode())
            while at and missing > 0:
                at -= 1
                missing -= len(self._held[at].bytes)
        share, self._held = self._held[at:], self._held[:at]
        return share

    def _piece(self, part: Part, logprobs: tuple[TokenLogprob, ...]) -> Piece:
        if isinstance(part, Called):
            index, self._calls = self._calls, self._calls + 1
            call = Call(id=_call_id(), index=index, name=part.name, arguments=part.arguments)
            return Piece(calls=(call,), logprobs=logprobs)
        if isinstance(part, Thinking):
            return Piece(thinking=part.text, logprobs=logprobs)
        return Piece(text=part.text, logprobs=logprobs)


def _call_id() -> str:
    return f"call_{secrets.token_hex(4)}"
