"""The tools a model may call, and which of them it must: `tools` and `tool_choice`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.server.openai.errors import Invalid
from puna.server.openai.parts import ToolBody
from puna.server.openai.requests import ChatBody

_WAYS = ("none", "auto", "required")


class Choice(msgspec.Struct, frozen=True):
    """What `ChatRequest` is asked about tools, in its words."""

    tools: list[dict[str, Any]]
    way: Literal["auto", "none", "required"] = "auto"
    name: str = ""


class _Named(msgspec.Struct):
    name: str


class _Tool(msgspec.Struct):
    function: _Named


class _Allowed(msgspec.Struct):
    mode: Literal["auto", "required"]
    tools: list[_Tool]


class _Wanted(msgspec.Struct):
    """A `tool_choice` that is an object."""

    type: str
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


def chosen(body: ChatBody) -> Choice:
    """The tools and the choice among them. Raises Invalid."""
    tools = [_tool(index, tool) for index, tool in enumerate(body.tools or ())]
    wanted = body.tool_choice
    if wanted is None:
        return Choice(tools)
    if isinstance(wanted, str):
        if wanted not in _WAYS:
            raise _wrong(f'"{wanted}" is not one of {", ".join(_WAYS)}')
        if wanted == "required":
            _known(tools, [])
        return Choice(tools, wanted)  # pyright: ignore[reportArgumentType]
    return _object(wanted, tools)


def _object(given: dict[str, Any], tools: list[dict[str, Any]]) -> Choice:
    try:
        wanted = msgspec.convert(given, _Wanted)
    except msgspec.ValidationError as error:
        raise _wrong(str(error)) from None
    if wanted.type == "function" and wanted.function:
        _known(tools, [wanted.function.name])
        return Choice(tools, "required", wanted.function.name)
    if wanted.type == "allowed_tools" and wanted.allowed_tools:
        names = [tool.function.name for tool in wanted.allowed_tools.tools]
        _known(tools, names)
        allowed = [tool for tool in tools if tool["function"]["name"] in names]
        return Choice(allowed, wanted.allowed_tools.mode)
    raise _wrong(f'an object of type "{wanted.type}" must be a function or allowed_tools')


def _known(tools: list[dict[str, Any]], names: list[str]) -> None:
    if not tools:
        raise _wrong("it is only allowed when tools are given")
    known = {tool["function"]["name"] for tool in tools}
    for name in names:
        if name not in known:
            raise _wrong(f'tools have no function "{name}"')


def _tool(index: int, tool: ToolBody) -> dict[str, Any]:
    if tool.type != "function":
        message = f'invalid tool type "{tool.type}": only functions are supported'
        raise Invalid(f"tools[{index}].type", message)
    if tool.function is None:
        raise Invalid(f"tools[{index}].function", "a tool needs a function", "missing_required_parameter")
    function: dict[str, Any] = {"name": tool.function.name}
    if tool.function.description:
        function["description"] = tool.function.description
    function["parameters"] = tool.function.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _wrong(reason: str) -> Invalid:
    return Invalid("tool_choice", f"invalid tool_choice: {reason}")
