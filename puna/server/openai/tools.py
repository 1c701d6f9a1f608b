"""Tools and `tool_choice`, for chat completions and responses."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from puna.errors import BadRequest
from puna.inference import ToolMode
from puna.server.body import convert
from puna.server.fields import Fields
from puna.server.openai.parts import FunctionDefinition

_MODES: dict[str, ToolMode] = {"none": "none", "auto": "auto", "required": "required"}


class ToolChoice(msgspec.Struct, frozen=True):
    """`ChatInput`'s fields for tools."""

    tools: list[dict[str, Any]]
    mode: ToolMode = "auto"
    name: str = ""


class _Allowed(Fields):
    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]]


def tool(function: FunctionDefinition) -> dict[str, Any]:
    """A function in the format of `ChatInput.tools`."""
    described: dict[str, Any] = {"name": function.name}
    if function.description:
        described["description"] = function.description
    described["parameters"] = function.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": described}


def choose(tools: list[dict[str, Any]], wanted: str | dict[str, Any] | None) -> ToolChoice:
    """The tools and the `tool_choice` among them. Raises BadRequest.

    Accepts chat completions' {"type": "function", "function": {"name": …}} and responses'
    {"type": "function", "name": …}.
    """
    if wanted is None:
        return ToolChoice(tools)
    if isinstance(wanted, str):
        if wanted not in _MODES:
            raise _wrong(f'"{wanted}" is not one of {", ".join(_MODES)}')
        if wanted == "required":
            _check_known([], tools)
        return ToolChoice(tools, _MODES[wanted])
    kind = wanted.get("type")
    if kind in ("function", "custom"):
        name = _name(wanted)
        _check_known([name], tools)
        return ToolChoice(tools, "required", name)
    if kind == "allowed_tools":
        allowed = _read(_flat(wanted), _Allowed)
        names = [_name(one) for one in allowed.tools]
        _check_known(names, tools)
        return ToolChoice([one for one in tools if one["function"]["name"] in names], allowed.mode)
    raise _wrong(f'an object of type "{kind}" must be a function or allowed_tools')


def _name(given: dict[str, Any]) -> str:
    return _read(_flat(given), FunctionDefinition).name


def _flat(given: dict[str, Any]) -> dict[str, Any]:
    """The object nested under its type's name, if there is one."""
    described = given.get(str(given.get("type")))
    return described if isinstance(described, dict) else given


def _check_known(names: list[str], tools: list[dict[str, Any]]) -> None:
    if not tools:
        raise _wrong("it is only allowed when tools are given")
    known = {one["function"]["name"] for one in tools}
    for name in names:
        if name not in known:
            raise _wrong(f'tools have no function "{name}"')


T = TypeVar("T")


def _read(given: dict[str, Any], kind: type[T]) -> T:
    try:
        return convert(given, kind)
    except BadRequest as error:
        raise _wrong(str(error)) from None


def _wrong(reason: str) -> BadRequest:
    return BadRequest(f"invalid tool_choice: {reason}", "tool_choice")
