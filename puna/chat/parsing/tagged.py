"""Most formats: text, reasoning between two tags, and calls after markers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from puna.types import Message

from .markers import markers
from .parts import Content, Thought
from .pending import PartKind
from .scanner import Scanner, Step
from .tools import Tools

OnCall = Callable[[str, dict[str, Any]], None]
"""Receives a call's name and arguments, as `Scanner.called` does."""

CallReader = Callable[[Scanner, Tools], Step[None]]
"""Reads calls after their marker; `Scanner.called` gets each. Raises ValueError for anything else."""


@dataclass(frozen=True)
class Expected:
    """The properties of a request that affect parsing."""

    tools: Tools
    think: bool | str | None
    prompt: str
    """The prompt's text, which the answer continues."""
    last: Message | None
    """The conversation's last message; if it is the assistant's, the answer continues it."""
    required: bool = False
    """The answer must call a tool."""

    @property
    def continues(self) -> bool:
        return self.last is not None and self.last.role == "assistant" and bool(self.last.content)


@dataclass(frozen=True)
class ThinkingTags:
    """The tags around reasoning."""

    open: str
    close: str
    name: str = ""
    """Text after the opening tag that is not reasoning: a channel's name."""
    anywhere: bool = False
    """Reasoning may also begin within the answer."""
    calls_end_it: bool = False
    """The model may call a tool without closing its reasoning."""

    def opened(self, expected: Expected) -> bool:
        """Whether the prompt ends within reasoning."""
        if expected.continues:
            return False
        prompt = expected.prompt.rstrip()
        if prompt.endswith((self.open, (self.open + self.name).rstrip())):
            return True
        reasons = (
            expected.last is not None and expected.last.role == "assistant" and bool(expected.last.thinking)
        )
        return reasons and prompt.rfind(self.open) > prompt.rfind(self.close)


@dataclass(frozen=True)
class Tagged:
    """A format with reasoning tags and call markers. It searches for calls only if the request has tools."""

    tags: ThinkingTags | None = None
    calls: Mapping[str, CallReader] = field(default_factory=dict)
    bare: CallReader | None = None
    """Reads a call without a marker, if content begins with a bracket."""
    lenient: Mapping[str, CallReader] = field(default_factory=dict)
    """Wrong call notations of these models. They are parsed, but no grammar allows them."""
    dropped: tuple[str, ...] = ()
    """Markers that are dropped from content."""
    spaced: bool = False
    """Drop white space around `dropped`, too."""
    special: frozenset[str] = frozenset()
    """Control tokens that the parser needs in the text."""

    @property
    def reasoning(self) -> str:
        """The text that begins reasoning; empty for none."""
        return self.tags.open + self.tags.name.rstrip() if self.tags else ""

    def opened(self, expected: Expected) -> bool:
        """Whether the prompt ends within reasoning."""
        return self.tags is not None and self.tags.opened(expected)

    def read(self, source: Scanner, expected: Expected) -> Step[None]:
        tools = expected.tools
        calls = self.calls if tools.names else {}
        tags, opened = self.tags, self.opened(expected)
        # Drop reasoning that was not requested, unless the prompt began it.
        reasoning: PartKind = Thought if opened or expected.think is not False else None
        begins = (tags.open,) if tags and tags.anywhere else ()
        lenient = self.lenient if tools.names else {}
        in_content = markers(*calls, *lenient, *begins, *self.dropped)
        in_reasoning = None
        if tags:
            in_reasoning = markers(tags.close, *(calls if tags.calls_end_it else ()))

        thinking = opened
        if tags and not expected.continues:
            # A model may repeat the tag that the prompt already has.
            yield from source.blank()
            begun = yield from source.choice(tags.open, tags.close)
            thinking = begun == tags.open or (opened and not begun)
            if thinking:
                yield from _begin(source, tags)
            elif begun:
                yield from source.skip()
            elif source.ended:
                in_content = markers(tags.open, tags.close)  # the rest may begin a tag
        bare = None if expected.continues or not tools.names else self.bare
        while True:
            if thinking:
                marker = yield from source.text(in_reasoning, reasoning)
                if marker in calls:
                    thinking = not (
                        yield from _call(source, calls[marker], tools, reasoning, certain=_is_tag(marker))
                    )
                elif marker:
                    thinking = False
                    yield from source.skip()
            elif bare:
                yield from source.blank()
                if (yield from source.ahead()) in ("{", "["):
                    yield from _call(source, bare, tools, Content, certain=expected.required)
                bare = None
                continue
            else:
                marker = yield from source.text(in_content, Content)
                if marker in calls or marker in lenient:
                    reading = calls[marker] if marker in calls else lenient[marker]
                    certain = marker in calls and _is_tag(marker)
                    yield from _call(source, reading, tools, Content, certain=certain)
                elif marker in begins and tags:
                    thinking = True
                    yield from _begin(source, tags)
                elif marker and self.spaced:
                    yield from source.skip()
                elif marker:
                    source.drop_last()
            if not marker:
                return


def _is_tag(marker: str) -> bool:
    """Whether the marker is a tag, not a word that may occur in text."""
    return not marker[0].isalnum()


def _begin(source: Scanner, tags: ThinkingTags) -> Step[None]:
    """Reads after the opening tag, which may be repeated."""
    begun = tags.open
    while begun:
        if tags.name:
            yield from source.choice(tags.name, tags.name.rstrip())
        yield from source.skip()
        begun = yield from source.choice(tags.open)


def _call(
    source: Scanner, reading: CallReader, tools: Tools, kind: PartKind, *, certain: bool = False
) -> Step[bool]:
    """Reads a call, or emits the text as `kind` if it is none. `certain`: the marker implies a call."""
    before, source.certain = source.calls, certain
    try:
        yield from reading(source, tools)
    except (ValueError, RecursionError):
        source.refuse(kind)
        return source.calls > before
    finally:
        source.certain = False
    yield from source.skip()
    return True
