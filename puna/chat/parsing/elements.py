"""Arguments as plain text between tags, for several families: `<parameter=k>v</parameter></function>`.

A value may have tags in it. It ends at its closing tag only where another parameter or the call's end comes
behind that. Models leave the closing tag out: so it ends at the tag of a parameter that the tool has, too,
and at the call's end where what must follow that does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .scanner import Malformed, Scanner, Step


class Argument(NamedTuple):
    tag: re.Match[str]
    """The opening tag; its name is group 1."""
    text: str


@dataclass(frozen=True)
class Elements:
    """A family's tags."""

    opened: str
    """What a parameter's tag begins with."""
    tag: re.Pattern[str]
    """The rest of it up to its `>`, with the parameter's name as group 1."""
    close: str
    """The tag behind a value."""
    end: str
    """The tag behind a call's last parameter."""
    followers: tuple[str, ...]
    """The tags of which one is behind a call, unless the answer ends with it."""
    pad: Literal["", "\n"] = ""
    """What stands around a value and is no part of it."""

    def arguments(
        self, source: Scanner, declared: tuple[str, ...], begun: str = ""
    ) -> Step[tuple[list[Argument], str]]:
        """A call's arguments up to its end, and the follower if that was taken, too.

        `declared` are the tool's parameters; `begun` is a tag that was taken already. Raises Malformed.
        """
        found: list[Argument] = []
        tag = self.tag.fullmatch(begun) if begun else (yield from self._first(source))
        follower = ""
        while tag:
            text, following, follower = yield from self._value(source, declared)
            found.append(Argument(tag, text))
            tag = following
        return found, follower

    def _first(self, source: Scanner) -> Step[re.Match[str] | None]:
        yield from source.blank()
        found = yield from source.choice(self.opened, self.end)
        tag = (yield from self._rest(source)) if found == self.opened else None
        if not tag and found != self.end:
            raise Malformed
        return tag

    def _rest(self, source: Scanner) -> Step[re.Match[str] | None]:
        """The rest of a parameter's tag, if it is one."""
        rest = yield from source.run(r"^<>\n")
        return self.tag.fullmatch(rest) if (yield from source.choice(">")) else None

    def _value(
        self, source: Scanner, declared: tuple[str, ...]
    ) -> Step[tuple[str, re.Match[str] | None, str]]:
        """A value, the tag of the parameter behind it or None at the call's end, and a follower."""
        begin = source.mark
        while True:
            _, found = yield from source.until(self.close, self.opened, self.end)
            stop = source.mark - 1
            closed = found == self.close
            if closed:
                yield from source.blank()
                found = yield from source.choice(self.opened, self.end)
            if found == self.opened:
                tag = yield from self._rest(source)
                if tag and (closed or tag[1].strip() in declared):
                    return self._text(source, begin, stop, closed), tag, ""
            elif found == self.end:
                if closed:
                    return self._text(source, begin, stop, closed), None, ""
                yield from source.blank()
                follower = yield from source.choice(*self.followers)
                if follower or (source.ended and not (yield from source.ahead())):
                    return self._text(source, begin, stop, closed), None, follower

    def _text(self, source: Scanner, begin: int, stop: int, closed: bool) -> str:
        """Without its closing tag, a line break behind a value is layout."""
        text = source.between(begin, stop)
        text = text if closed and not self.pad else text.removesuffix("\n")
        return text.removeprefix(self.pad)
