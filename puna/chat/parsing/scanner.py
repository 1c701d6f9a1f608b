"""Scans a model's text in chunks, each character once.

Notations are generators that pause when they need more text. The text that they take is pending until its
kind is known.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import lru_cache
from typing import TypeVar

from .markers import Markers, markers
from .pending import PartKind, PendingText

_T = TypeVar("_T")
Step = Generator[None, None, _T]
"""A generator that pauses when it needs more text."""

BLANK = r"[^\S\x1c-\x1f]*"
"""White space as a regular expression. Like grammars, and unlike Python, it excludes \\x1c to \\x1f."""

_BLANK = re.compile(BLANK)
_PARTNER = {"{": "}", "[": "]", "(": ")"}
_DEEPEST = 100


class Malformed(ValueError):
    """The text is not a call, although it began like one."""


class Scanner(PendingText):
    """The unread text, in addition to the pending text."""

    def __init__(self) -> None:
        super().__init__()
        self.work = 0
        """Characters scanned, for tests of linearity."""
        self._text = ""
        self._at = 0

    def push(self, text: str) -> None:
        self._text = self._text[self._at :] + text
        self._at = 0
        self.work += len(self._text)

    def rewind(self, mark: int) -> None:
        """Unread the text taken since `mark`."""
        again = "".join(self._pending[mark:])
        del self._pending[mark:]
        self._text, self._at = again + self._text[self._at :], 0
        self.work += len(again)

    def refuse(self, kind: PartKind) -> None:
        """Emit the pending text; drop it if the answer was cut within a call.

        White space alone stays pending, because a call may follow.
        """
        if self.cut_in_call:
            self._take(len(self._text))
            self.drop()
        elif any(not text.isspace() for text in self._pending):
            self.emit_pending(kind)

    # Each of these methods takes the text that it names.

    def text(self, until: Markers | None, kind: PartKind) -> Step[str]:
        """Emits everything before a marker; returns the marker, or "" at the answer's end.

        Trailing white space is emitted only with the text after it. Before a marker it stays pending.
        """
        self._kind = kind
        while True:
            text, at = self._text, self._at
            found = until.search(text, at) if until else None
            if self.ended and self.cut and until and not found:
                text = self._text = text[: until.begun(text, at, surely=not self.must_call)]
            end = found.start() if found else len(text) if self.ended or not until else until.safe(text, at)
            if end > at:
                solid = text[at:end].rstrip() if until else text[at:end]
                if solid:
                    self.emit(kind, "".join(self._pending) + solid)
                    self._pending.clear()
                self._at = at + len(solid)
                self._take(end)
            if found:
                marker = found.group()
                self._space_before_marker = "".join(self._pending) + marker[: -len(marker.lstrip())]
                return self._take(found.end())
            if self.ended:
                self.emit_pending(None if self.cut_in_call else kind)
                return ""
            yield

    def blank(self) -> Step[None]:
        """Optional white space."""
        yield from self._run(_BLANK)

    def skip(self) -> Step[None]:
        """Drops white space and all pending text."""
        yield from self._run(_BLANK)
        self.drop_blank()

    def word(self, characters: str) -> Step[str]:
        """The longest non-empty run of the regular expression's class `characters`."""
        if word := (yield from self.run(characters)):
            return word
        raise Malformed

    def run(self, characters: str) -> Step[str]:
        """The longest run of the regular expression's class `characters`."""
        return (yield from self._run(_run_of(characters)))

    def choice(self, *literals: str) -> Step[str]:
        """The longest of `literals` at the current position; "" for none.

        Raises Malformed if a call is cut within one of them.
        """
        longest = max(map(len, literals))
        while True:
            ahead = self._text[self._at : self._at + longest]
            self.work += len(ahead)
            begun = any(len(one) > len(ahead) and one.startswith(ahead) for one in literals)
            if self.ended or not begun:
                fits = [one for one in literals if ahead.startswith(one)]
                if begun and ahead and not fits and self.certain and self.cut:
                    raise Malformed
                return self._take(self._at + len(max(fits, key=len))) if fits else ""
            yield

    def expect(self, literal: str) -> Step[None]:
        if not (yield from self.choice(literal)):
            raise Malformed

    def closer(self, literal: str) -> Step[None]:
        """Optional white space and an optional `literal`, which may be cut at the answer's end."""
        yield from self.blank()
        if (
            not (yield from self.choice(literal))
            and self.ended
            and literal.startswith(self._text[self._at :])
        ):
            self._take(len(self._text))

    def ahead(self) -> Step[str]:
        """The next character, without taking it; "" at the end."""
        while self._at == len(self._text):
            if self.ended:
                return ""
            yield
        return self._text[self._at]

    def until(self, *texts: str, or_end: bool = False) -> Step[tuple[str, str]]:
        """The text before the first of `texts`, and that text; with `or_end`, "" at the answer's end."""
        finder = markers(*texts)
        assert finder
        mark = len(self._pending)
        while True:
            if found := finder.search(self._text, self._at):
                self._take(found.start())
                before = "".join(self._pending[mark:])
                return before, self._take(found.end())
            if self.ended:
                self._take(len(self._text))
                if or_end:
                    return "".join(self._pending[mark:]), ""
                raise Malformed
            self._take(finder.safe(self._text, self._at))
            yield

    def bracketed(self, quotes: str = '"', *, opened: str = "", nested: str = "") -> Step[str]:
        """The text from a bracket to its partner; ignores brackets in quotes.

        `opened`: a bracket that was already taken. The result begins after it. `nested`: if given, a quote
        ends only before one of these characters.
        """
        mark = len(self._pending)
        closers = [_PARTNER[opened]] if opened else []
        if not opened and (yield from self.ahead()) not in _PARTNER:
            raise Malformed
        quote = ""
        while True:
            text, at = self._text, self._at
            while at < len(text):
                found = _special(quote or quotes, bool(quote)).search(text, at)
                if not found:
                    at = len(text)
                    break
                char = found.group()
                if char == "\\" and found.end() == len(text):
                    at = found.start()
                    break
                at = found.end()
                if char == "\\":
                    at += 1
                elif char == quote:
                    following = _BLANK.match(text, at)
                    behind = text[following.end() : following.end() + 1] if following else ""
                    if nested and not behind and not self.ended:
                        at -= 1
                        break
                    if not nested or behind in nested:
                        quote = ""
                elif char in quotes:
                    quote = char
                elif char in _PARTNER and len(closers) < _DEEPEST:
                    closers.append(_PARTNER[char])
                elif not closers or char != closers.pop():
                    self._take(at)
                    raise Malformed
                elif not closers:
                    self._take(at)
                    return "".join(self._pending[mark:])
            self._take(at)
            if self.ended:
                self._take(len(text))
                raise Malformed
            yield

    def _run(self, pattern: re.Pattern[str]) -> Step[str]:
        mark = len(self._pending)
        while True:
            found = pattern.match(self._text, self._at)
            self._take(found.end() if found else self._at)
            if self._at < len(self._text) or self.ended:
                return "".join(self._pending[mark:])
            yield

    def _take(self, end: int) -> str:
        taken = self._text[self._at : end]
        if taken:
            self._pending.append(taken)
            self._at = end
        return taken


@lru_cache(maxsize=16)
def _special(quotes: str, inside: bool) -> re.Pattern[str]:
    """The significant characters outside quotes, or inside the given quote."""
    return re.compile(f"[{quotes}\\\\]" if inside else rf"[][{{}}(){quotes}]")


@lru_cache(maxsize=16)
def _run_of(characters: str) -> re.Pattern[str]:
    return re.compile(f"[{characters}]*")
