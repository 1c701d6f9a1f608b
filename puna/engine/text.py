"""Turns token bytes into text: whole characters, and never part of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Takes tokens' bytes, returns text. `stopped` becomes the first stop string that appears.

    `read` and `shown` count the characters of the text and of what was returned of it.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = [stop for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._withheld = ""
        self.stopped = ""
        self.read = self.shown = 0

    def feed(self, piece: bytes) -> str:
        """The text that can be emitted now: up to a stop string, or what may become one."""
        text = self._decoder.decode(piece)
        self.read += len(text)
        text = self._before_stop(text)
        self.shown += len(text)
        return text

    def finish(self) -> str:
        """The withheld text at the end of the answer. An incomplete character is dropped."""
        if self.stopped:
            return ""
        withheld, self._withheld = self._withheld, ""
        self.shown = self.read
        return withheld

    def _before_stop(self, text: str) -> str:
        if not self._stops:
            return text
        if self.stopped or not text:
            return ""
        text = self._withheld + text
        matches = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if matches:
            at, self.stopped = min(matches)
            self._withheld = ""
            return text[:at]
        end = len(text) - self._possible_stop(text)
        self._withheld = text[end:]
        return text[:end]

    def _possible_stop(self, text: str) -> int:
        """Length of the longest suffix of `text` that is a prefix of a stop string."""
        for size in range(min(self._longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stops):
                return size
        return 0
