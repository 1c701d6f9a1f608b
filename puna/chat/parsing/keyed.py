"""GLM's calls: `f<arg_key>k</arg_key><arg_value>v</arg_value>…` up to a closing tag.

Values are plain text, typed by the tool's schema. Models omit tags, so the parser also infers keys and values
from the text between tags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .calls import bare_objects, objects
from .scanner import Malformed, Scanner, Step
from .tagged import CallReader
from .tools import Tools
from .values import json_object

_Ended = tuple[str, str, str]
"""A value, the next key if one of their tags is missing, and the tag after both ("" at the answer's end)."""


@dataclass(frozen=True)
class Keyed:
    """A family's tags."""

    call: str = "tool_call"
    """The name of the tag around a call."""
    prefix: str = ""
    """The beginning of every tag's name."""
    suffix: str = ""
    """The end of every tag's name."""
    separated: bool = False
    """Whether a tag follows the function's name."""

    @property
    def open(self) -> str:
        return self._tag(self.call)

    @property
    def end(self) -> str:
        return self._tag(self.call, "/")

    @property
    def separator(self) -> str:
        """The tag after the function's name; "" for none."""
        return self._tag("tool_sep") if self.separated else ""

    @property
    def key(self) -> str:
        return self._tag("arg_key")

    @property
    def key_end(self) -> str:
        return self._tag("arg_key", "/")

    @property
    def value(self) -> str:
        return self._tag("arg_value")

    @property
    def value_end(self) -> str:
        return self._tag("arg_value", "/")

    def _tag(self, name: str, closes: str = "") -> str:
        return f"<{closes}{self.prefix}{name}{self.suffix}>"

    @property
    def special(self) -> frozenset[str]:
        inner = {self.separator, self.key, self.key_end, self.value, self.value_end}
        return frozenset({self.open, self.end, *inner} - {""})

    def calls(self, *, declared: bool = False) -> CallReader:
        """Reads a call up to its closing tag; with `declared`, only a call to a tool of the request."""

        def read(source: Scanner, tools: Tools) -> Step[None]:
            yield from source.blank()
            if (yield from source.ahead()) == "{":
                yield from (bare_objects(source, tools) if declared else objects(source))
                yield from source.closer(self.end)
                return
            name = yield from source.word(r"\w.\-")
            if declared and name not in tools.names:
                raise Malformed
            yield from source.blank()
            if self.separated:
                yield from source.choice(self.separator)
                yield from source.blank()
            if (yield from source.ahead()) == "{":
                source.called(name, json_object((yield from source.bracketed())))
                yield from source.closer(self.end)
                return
            source.called(name, (yield from self._arguments(source, tools, name)))

        return read

    def _arguments(self, source: Scanner, tools: Tools, name: str) -> Step[dict[str, Any]]:
        found: dict[str, Any] = {}
        before, tag = yield from source.until(self.key, self.key_end, self.value, self.end, or_end=True)
        while tag not in (self.end, ""):
            if tag == self.key:
                before, tag = yield from source.until(self.key_end, self.value, self.end)
            if tag == self.end:
                raise Malformed
            key, opened = before.strip(), tag == self.value
            if tag == self.key_end:
                yield from source.blank()
                opened = bool((yield from source.choice(self.value)))
            typed = partial(_typed_value, tools, name, key)
            declared = tools.parameters(name)
            left = [one for one in declared if one not in found and one != key]
            text, before, tag = yield from self._value(source, declared, left, typed)
            if not (opened or text.strip()):
                raise Malformed
            found[key] = typed(text)
        if before.strip():
            raise Malformed
        # At the answer's end the outer tag may be missing, but no required argument.
        if not tag and (source.cut or name not in tools.names or not tools.required(name) <= found.keys()):
            raise Malformed
        return found

    def _value(
        self, source: Scanner, declared: Sequence[str], left: Sequence[str], typed: Callable[[str], Any]
    ) -> Step[_Ended]:
        """Reads a value.

        A value may contain tags: its closing tag ends it only before a key or the call's end. Without a
        closing tag, two tags end it: that of a key in `left` whose value follows, and the call's end. The
        latter requires that the value is not a string, or that no closing tag comes before the next call.
        """
        begin = source.mark
        while True:
            _, tag = yield from source.until(self.value_end, self.key, self.end)
            text = partial(source.between, begin, source.mark - 1)
            if tag == self.key:
                if key := (yield from self._key(source, left)):
                    return text(), key, self.value
            elif tag == self.end and not isinstance(typed(text()), str):
                return text(), "", self.end
            elif tag == self.end:
                return (yield from self._string(source, begin, declared))
            elif following := (yield from self._following(source, declared)):
                return text(), *following
            elif source.ended:
                if (yield from source.choice("</")):
                    yield from source.closer(self.end.removeprefix("</"))
                if not (yield from source.ahead()):
                    return text(), "", ""

    def _string(self, source: Scanner, begin: int, declared: Sequence[str]) -> Step[_Ended]:
        """Reads the rest of a string after the call's end tag, which ends it unless a closing tag does."""
        mark, text = source.mark, source.between(begin, source.mark - 1)
        while True:
            _, tag = yield from source.until(self.value_end, self.open, self.end, or_end=True)
            if tag in (self.open, ""):
                source.rewind(mark)
                return text, "", self.end
            longer = partial(source.between, begin, source.mark - 1)
            if tag == self.value_end and (following := (yield from self._following(source, declared))):
                return longer(), *following

    def _following(self, source: Scanner, declared: Sequence[str]) -> Step[tuple[str, str] | None]:
        """Reads what may follow a closing tag: a key if its tag is missing, and a tag. None for neither."""
        yield from source.blank()
        tag = yield from source.choice(self.key, self.end, *(key + self.key_end for key in declared))
        if tag.endswith(self.key_end):
            return tag.removesuffix(self.key_end), self.key_end
        return ("", tag) if tag else None

    def _key(self, source: Scanner, names: Sequence[str]) -> Step[str]:
        """Reads one of these keys up to its value, after its tag; "" for none."""
        yield from source.blank()
        key = (yield from source.choice(*names)) if names else ""
        if not key:
            return ""
        yield from source.blank()
        if (yield from source.choice(self.key_end)):
            yield from source.blank()
        return key if (yield from source.choice(self.value)) else ""


def _typed_value(tools: Tools, name: str, key: str, text: str) -> Any:
    return tools.typed_value(name, key, text.removeprefix("\n").removesuffix("\n"))
