"""MiniMax-M3: `<invoke name="f">` and its arguments, `<k>v</k>`, within `<tool_call>`.

The token `]<]minimax[>[` precedes every tag. Arguments nest: an object's are its keys, a list's are `<item>`.
No grammar constrains calls, because most tags are text.

Sources: the chat template of MiniMaxAI's M3; SGLang's minimax_m3 detector; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from typing import Any

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Malformed, Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.typed import typed_value
from puna.chat.schema import Targets, element, kinds, parameter

_SPACE = "]<]minimax[>["
_OPEN, _CLOSE, _INVOKE = f"{_SPACE}<tool_call>", f"{_SPACE}</tool_call>", f'{_SPACE}<invoke name="'
_ITEM = "item"
_DEEPEST = 64

_Inner = str | list[tuple[str, "_Inner"]]
"""What an element contains: text, or elements by their names."""


def _calls(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(_INVOKE)
    another = _INVOKE
    while another:
        name, _ = yield from source.until('">')
        inner = yield from _element(source, "invoke")
        if not name or (isinstance(inner, str) and inner.strip()):
            raise Malformed
        schema = tools.schema(name)
        source.called(name, _members(schema.root, schema.targets, inner))
        yield from source.blank()
        another = yield from source.choice(_INVOKE)
    yield from source.closer(_CLOSE)


def _element(source: Scanner, tag: str, depth: int = 0) -> Step[_Inner]:
    """Reads an element after its opening tag, up to and including its closing tag."""
    inner: list[tuple[str, _Inner]] = []
    text, _ = yield from source.until(_SPACE)
    while not (yield from source.choice(f"</{tag}>")):
        yield from source.expect("<")
        name, _ = yield from source.until(">")
        if depth == _DEEPEST or not name or name.startswith("/"):
            raise Malformed
        inner.append((name, (yield from _element(source, name, depth + 1))))
        yield from source.until(_SPACE)
    return inner or text


def _members(schema: Any, targets: Targets, inner: _Inner) -> dict[str, Any]:
    """An object's members by its schema, which is None if there is none."""
    elements = inner if isinstance(inner, list) else []
    return {name: _value(parameter(schema, name, targets), targets, one) for name, one in elements}


def _value(schema: Any, targets: Targets, inner: _Inner) -> Any:
    """An element's value by its schema, which is None if there is none."""
    allowed = kinds(schema, targets) if schema is not None else {"array", "object", "string"}
    if isinstance(inner, list):
        listed = "array" in allowed and all(name == _ITEM for name, _ in inner)
        if not listed or parameter(schema, _ITEM, targets) is not None:
            return _members(schema, targets, inner)
        return [_value(element(schema, at, targets), targets, one) for at, (_, one) in enumerate(inner)]
    if not inner and "string" not in allowed and allowed & {"array", "object"}:
        return [] if "array" in allowed else {}
    return inner if schema is None else typed_value(schema, targets, inner)


_FORMAT = Tagged(
    tags=ThinkingTags("<mm:think>", "</mm:think>", calls_end_it=True),
    calls={_OPEN: _calls},
    special=frozenset({_SPACE, "<tool_call>", "</tool_call>", "<mm:think>", "</mm:think>"}),
)

FAMILY = Family(
    variants=(Variant("minimax-m3", tools=True, thinks=True),),
    evidence=(Evidence((_SPACE,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
