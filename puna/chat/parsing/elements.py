"""Arguments as plain text between tags, for several families: `<parameter=k>v</parameter></function>`.

A value may contain tags. Its closing tag ends it only before another parameter or the call's end. Models omit
closing tags, so two other tags end a value, too:

* the tag of a parameter that the call lacks, if it is required or begins a line after text;
* the call's end tag, if a follower or the answer's end comes after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from .scanner import BLANK, Malformed, Scanner, Step
from .tagged import OnCall
from .tools import Tools
from .values import json_value

_SOLID = re.compile(r"[\S\x1c-\x1f]")

NameReader = Callable[[Scanner, Tools], Step[tuple[str, str]]]
"""Reads a function's name; returns it, and the rest of the first parameter's tag if it read that, too."""


class Argument(NamedTuple):
    """A parameter with its text, which is not yet converted by the tool's schema."""

    tag: re.Match[str]
    """The opening tag; its name is group 1."""
    text: str

    @property
    def name(self) -> str:
        return self.tag[1].strip()


def by_schema(tools: Tools, function: str, argument: Argument) -> Any:
    """The argument's value by the tool's schema."""
    return tools.typed_value(function, argument.name, argument.text)


def by_statement(tools: Tools, function: str, argument: Argument, *, is_text: bool) -> Any:
    """The argument's value if the model states whether it is text."""
    if is_text:
        return argument.text
    value = by_schema(tools, function, argument)
    with suppress(ValueError, RecursionError):
        return json_value(argument.text) if value == argument.text else value
    return value


class _Found(NamedTuple):
    """A parameter's tag in a call."""

    tag: re.Match[str]
    before: int
    """The end of the value before it."""
    after: int
    """The start of its value."""
    closed: bool
    """Whether the value before it has its closing tag."""

    @property
    def name(self) -> str:
        return self.tag[1].strip()


@dataclass(frozen=True)
class Elements:
    """A family's tags."""

    opened: str
    """The beginning of a parameter's tag."""
    tag: re.Pattern[str]
    """The rest of the tag up to `shut`, with the parameter's name as group 1."""
    close: str
    """The tag after a value."""
    end: str
    """The tag after a call's last parameter."""
    outer: str
    """The tag after all calls; "" for none."""
    another: str
    """The beginning of a call's tag, up to the function's name."""
    pad: Literal["", "\n"] = ""
    """White space around a value, which is not part of it."""
    shut: str = ">"
    """The end of a parameter's tag."""

    @property
    def followers(self) -> tuple[str, str]:
        """The tags that may follow a call. Otherwise the answer ends."""
        return self.outer, self.another

    def calls(
        self,
        source: Scanner,
        tools: Tools,
        read_name: NameReader,
        *,
        called: OnCall | None = None,
        typed: Callable[[Tools, str, Argument], Any] = by_schema,
    ) -> Step[None]:
        """Reads calls from the first one's name to the outer closing tag.

        `called` gets each call; the default is `Scanner.called`. `typed` makes an argument's value. Raises
        Malformed.
        """
        follower = self.another
        while follower == self.another:
            name, begun = yield from read_name(source, tools)
            arguments, follower = yield from self._arguments(
                source, tools.parameters(name), tools.required(name), begun
            )
            (called or source.called)(name, {one.name: typed(tools, name, one) for one in arguments})
            if not follower:
                yield from source.blank()
                follower = yield from source.choice(self.another)
        if not follower:
            yield from source.closer(self.outer)

    def _arguments(
        self, source: Scanner, declared: Collection[str], required: Collection[str], begun: str
    ) -> Step[tuple[list[Argument], str]]:
        """Reads a call's arguments up to its end; returns them, and the follower if it was read.

        `declared` are the tool's parameters, some of them `required`. `begun` is a tag that was already read.
        """
        tag = self.tag.fullmatch(begun) if begun else (yield from self._first(source))
        if not tag:
            return [], ""
        text, closed, follower = yield from self._whole(source)
        found = [_Found(tag, 0, 0, closed=True), *self._tags(text, tag[1].strip(), declared, required)]
        ends = [*((one.before, one.closed) for one in found[1:]), (len(text), closed)]
        given = [
            Argument(one.tag, self._value(text[one.after : end], closed=shut))
            for one, (end, shut) in zip(found, ends, strict=True)
        ]
        return given, follower

    def _first(self, source: Scanner) -> Step[re.Match[str] | None]:
        """The first parameter's tag; None at the end of a call without parameters."""
        yield from source.blank()
        found = yield from source.choice(self.opened, self.end)
        if found == self.end:
            return None
        rest = (yield from source.run(r"^<>\n")) if found else ""
        tag = self.tag.fullmatch(rest) if (yield from source.choice(self.shut)) else None
        if not tag:
            raise Malformed
        return tag

    def _whole(self, source: Scanner) -> Step[tuple[str, bool, str]]:
        """The text from the first to the last value, whether the last has a closing tag, and the follower."""
        begin = source.mark
        while True:
            _, found = yield from source.until(self.close, self.end)
            stop = source.mark - 1
            yield from source.blank()
            if found == self.close:
                if (yield from source.choice(self.end)):
                    return source.between(begin, stop), True, ""
                continue
            follower = yield from source.choice(*self.followers)
            if follower or (source.ended and not (yield from source.ahead())):
                return source.between(begin, stop), False, follower

    @cached_property
    def _opening(self) -> re.Pattern[str]:
        close, opened, shut = map(re.escape, (self.close, self.opened, self.shut))
        return re.compile(rf"({close}{BLANK})?{opened}([^<>\n]*){shut}")

    def _tags(
        self, text: str, first: str, declared: Collection[str], required: Collection[str]
    ) -> list[_Found]:
        """The parameters' tags after the first one, without those inside values."""
        every = [
            _Found(tag, one.start(), one.end(), closed=bool(one[1]))
            for one in self._opening.finditer(text)
            if (tag := self.tag.fullmatch(one[2]))
        ]
        left = {name for name in declared if name != first} - {one.name for one in every if one.closed}
        found: list[_Found] = []
        begin = 0
        for one in every:
            if not one.closed:
                begins_line = one.before > 0 and text[one.before - 1] == "\n"
                if one.name not in left or not begins_line or not _SOLID.search(text, begin, one.before):
                    continue
                left.remove(one.name)
            found.append(one)
            begin = one.after
        for one in every:
            if one.name in left and one.name in required:
                left.remove(one.name)
                found.append(one)
        return sorted(found, key=lambda one: one.before)

    def _value(self, text: str, *, closed: bool) -> str:
        """A value's text. Without a closing tag, a line break after it is layout."""
        text = text if closed and not self.pad else text.removesuffix("\n")
        return text.removeprefix(self.pad)
