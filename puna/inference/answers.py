"""Parses an engine's text into the pieces of an answer."""

from __future__ import annotations

import secrets

from puna.chat import Called, Parser, Part, Thought
from puna.inference.reports import Reports, Unread
from puna.inference.requests import Call, Piece
from puna.types import Delta


class Reading:
    """The parsing of one answer."""

    def __init__(self, parser: Parser | None) -> None:
        """Without `parser`, all text is content."""
        self._parser = parser
        self._calls = 0
        self.reasoning = 0
        """Reasoning tokens so far, tags included."""
        self._unread = 0
        """Tokens whose text the parser has not emitted yet."""
        self._reports = Unread()
        """Their log-probabilities, if requested."""

    def pieces(self, delta: Delta) -> list[Piece]:
        """The pieces that `delta` completes."""
        if self._parser is None:
            return [Piece(text=delta.text, logprobs=delta.logprobs)]
        self._reports.add(delta.logprobs)
        self._unread += delta.tokens
        return self._made(self._parser.feed(delta.text))

    def rest(self, *, cut: bool = False) -> list[Piece]:
        """The text that the parser has withheld, at the end of an answer that may be `cut`."""
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
