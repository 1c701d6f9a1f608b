"""Assigns the log-probabilities of tokens to the parts of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from puna.chat import Called, Part
from puna.types import TokenLogprob

Reports = tuple[TokenLogprob, ...]


class Unread:
    """Reported tokens that belong to no part yet: notation, and text that the parser has not emitted."""

    def __init__(self) -> None:
        self._tokens: list[TokenLogprob] = []
        self._text = bytearray()
        self._given = 0
        """Leading bytes of a token that was assigned to the previous part."""
        self._before: type[Part] | None = None
        """The last part's type."""

    def __bool__(self) -> bool:
        return bool(self._text)

    def add(self, reports: Reports) -> None:
        for token in reports:
            self._tokens.append(token)
            self._text += bytes(token.bytes)

    def shared(self, parts: Sequence[Part]) -> list[Reports]:
        """The reports of each part. A token that two parts share goes to the first.

        Text between the parts is notation, which belongs to calls.
        """
        shares: list[Reports] = []
        taken, end, last = 0, self._given, 0
        for begin, last in self._places(parts):
            first = taken
            while taken < len(self._tokens) and end < last:
                end += len(self._tokens[taken].bytes)
                taken += 1
                if end <= begin:
                    first = taken
            shares.append(tuple(self._tokens[first:taken]))
        if parts:
            self._given = max(0, end - last)
            self._before = type(parts[-1])
            del self._tokens[:taken], self._text[:last]
        return shares

    def _places(self, parts: Sequence[Part]) -> list[tuple[int, int]]:
        """Where the parts' texts begin and end.

        A part that continues the previous one is searched from the front, a part after a tag from the end.
        The rest belongs to calls.
        """
        places: list[tuple[int, int]] = []
        end, called = len(self._text), False
        kinds = [self._before, *map(type, parts)]
        for part, before in zip(reversed(parts), reversed(kinds[:-1]), strict=True):
            if isinstance(part, Called):
                places.append((0, end))
                called = True
                continue
            text = part.text.encode()
            continues = called or type(part) is before
            begin = (self._text.find if continues else self._text.rfind)(text, 0, end)
            if begin < 0:
                # The parser's text has U+FFFD for bytes that are no character.
                begin = max(0, end - len(text))
            places.append((begin, min(end, begin + len(text))))
            end = begin
        return places[::-1]
