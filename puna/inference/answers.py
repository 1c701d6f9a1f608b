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
        self._held: tuple[TokenLogprob, ...] = ()
        """Of tokens whose text has not come out of the parser yet."""

    def pieces(self, delta: Delta) -> list[Piece]:
        """What `delta` completes."""
        if self._parser is None:
            return [Piece(text=delta.text, logprobs=delta.logprobs)]
        self._held += delta.logprobs
        return self._made(self._parser.feed(delta.text))

    def rest(self) -> list[Piece]:
        """What was held back when the answer ended."""
        made = self._made(self._parser.finish()) if self._parser else []
        return [*made, Piece(logprobs=self._held)] if self._held else made

    def _made(self, parts: list[Part]) -> list[Piece]:
        return [self._piece(part) for part in parts]

    def _piece(self, part: Part) -> Piece:
        logprobs, self._held = self._held, ()
        if isinstance(part, Called):
            index, self._calls = self._calls, self._calls + 1
            call = Call(id=_call_id(), index=index, name=part.name, arguments=part.arguments)
            return Piece(calls=(call,), logprobs=logprobs)
        if isinstance(part, Thinking):
            return Piece(thinking=part.text, logprobs=logprobs)
        return Piece(text=part.text, logprobs=logprobs)


def _call_id() -> str:
    return f"call_{secrets.token_hex(4)}"
