"""An engine's text to the pieces of an answer."""

from __future__ import annotations

import secrets

from puna.chat import Called, Parser, Part, Thought
from puna.inference.reports import Reports, Unread
from puna.inference.requests import Call, Piece
from puna.types import Delta


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
        self._reports = Unread()
        """Of those tokens, if they were asked for."""

    def pieces(self, delta: Delta) -> list[Piece]:
        """What `delta` completes."""
        if self._parser is None:
            return [Piece(text=delta.text, logprobs=delta.logprobs)]
        self._reports.add(delta.logprobs)
        self._unread += delta.tokens
        return self._made(self._parser.feed(delta.text))

    def rest(self, *, cut: bool = False) -> list[Piece]:
        """What was held back when the answer ended, of itself or `cut`."""
        return self._made(self._parser.finish(cut=cut)) if self._parser else []

    def _made(self, parts: list[Part]) -> list[Piece]:
        if parts:
            if any(isinstance(part, Thought) for part in parts):
                self.reasoning += self._unread
            self._unread = 0
        if not self._reports:
            return [self._piece(part, ()) for part in parts]
        return [
            self._piece(part, share) for part, share in zip(parts, self._reports.shared(parts), strict=True)
        ]

    def _piece(self, part: Part, logprobs: Reports) -> Piece:
        if isinstance(part, Called):
            index, self._calls = self._calls, self._calls + 1
            call = Call(id=_call_id(), index=index, name=part.name, arguments=part.arguments)
            return Piece(calls=(call,), logprobs=logprobs)
        if isinstance(part, Thought):
            return Piece(thinking=part.text, logprobs=logprobs)
        return Piece(text=part.text, logprobs=logprobs)


def _call_id() -> str:
    return f"call_{secrets.token_hex(4)}"
