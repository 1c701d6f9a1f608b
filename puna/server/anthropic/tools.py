"""The tools of a request: those with a schema, and those that Anthropic defines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from puna.errors import BadRequest
from puna.server.anthropic.requests import AnthropicTool


class ToolOffer(msgspec.Struct, frozen=True):
    """A request's tools: those that the model gets, and those that do not exist here."""

    functions: list[dict[str, Any]]
    """Tools offered to the model."""
    missing: list[str]
    """Names of server-side tools, which do not exist here."""


def offer(tools: Sequence[AnthropicTool]) -> ToolOffer:
    """The tools that can be offered. Raises BadRequest for one that cannot be called."""
    functions: list[dict[str, Any]] = []
    missing: list[str] = []
    for number, tool in enumerate(tools):
        known = _known(tool.type)
        if tool.type in (None, "custom") or known:
            functions.append(_function(tool, known, f"tools[{number}]"))
        elif not tool.type.startswith(_SEARCH):
            missing.append(tool.name or tool.type)
    # A client may define one with the same name.
    names = {function["function"]["name"] for function in functions}
    return ToolOffer(functions, [name for name in missing if name not in names])


_Form = tuple[str, dict[str, Any]]
"""A description and a schema."""


def _function(tool: AnthropicTool, known: _Form | None, place: str) -> dict[str, Any]:
    description, schema = known or (tool.description or "", tool.input_schema)
    if not tool.name or schema is None:
        raise BadRequest(f"{place}: a tool needs a name and an input_schema")
    function = {"name": tool.name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def _known(kind: str | None) -> _Form | None:
    return next((form for prefix, form in _CLIENTS.items() if (kind or "").startswith(prefix)), None)


def _form(description: str, required: list[str], **properties: dict[str, Any]) -> _Form:
    return description, {"type": "object", "properties": properties, "required": required}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


_EDITING: dict[str, dict[str, Any]] = {
    "path": _text("The file or folder."),
    "file_text": _text("For create: the whole file."),
    "old_str": _text("For str_replace: what stands there once, to the letter."),
    "new_str": _text("For str_replace: what is to stand there instead."),
    "insert_line": {"type": "integer", "description": "For insert: the line after which; 0 for the top."},
    "insert_text": _text("For insert: the lines."),
    "view_range": {
        "type": "array",
        "items": {"type": "integer"},
        "description": "For view: the first and the last line; -1 for the end.",
    },
}
_COMMANDS = ["view", "create", "str_replace", "insert"]

_CLIENTS = {
    "bash_": _form(
        "Runs a command in a shell that keeps its state from one call to the next.",
        [],
        command=_text("The command."),
        restart={"type": "boolean", "description": "Begin a new shell instead."},
    ),
    "text_editor_": _form(
        "Views, creates and edits files.",
        ["command", "path"],
        command={"type": "string", "enum": _COMMANDS},
        **_EDITING,
    ),
    "memory_": _form(
        "Files below /memories that outlast this conversation. View that folder before all else.",
        ["command"],
        command={"type": "string", "enum": [*_COMMANDS, "delete", "rename"]},
        **_EDITING,
        old_path=_text("For rename."),
        new_path=_text("For rename."),
    ),
}
"""Tools that the client runs, by the prefix of their types, which end in a date."""

_SEARCH = "tool_search_tool_"
"""Searches for deferred tools; here all tools are offered."""
