"""The tools of a request: those with a schema, and those that Anthropic defines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from puna.errors import BadRequest
from puna.server.anthropic.requests import AnthropicTool
from puna.server.searching import TOOL, WEB_SEARCH, SearchLimits


class ToolOffer(msgspec.Struct, frozen=True):
    """A request's tools, divided into available and missing ones."""

    functions: list[dict[str, Any]]
    """Tools offered to the model."""
    missing: list[str]
    """Names of Anthropic's server-side tools that do not exist here."""
    search: SearchLimits | None = None
    """Of the search that the server runs; None if it runs none."""


def offer(tools: Sequence[AnthropicTool], *, searches: bool = False) -> ToolOffer:
    """The tools to offer. Raises BadRequest for a tool without a name or schema.

    `searches`: the server can search the web.
    """
    functions: list[dict[str, Any]] = []
    search: SearchLimits | None = None
    missing: list[str] = []
    for number, tool in enumerate(tools):
        known = _client_tool(tool.type)
        if tool.type in (None, "custom") or known:
            functions.append(_function(tool, known, f"tools[{number}]"))
        elif searches and tool.type.startswith(f"{WEB_SEARCH}_"):
            search = _limits(tool)
        elif not tool.type.startswith(_TOOL_SEARCH):
            missing.append(tool.name or tool.type)
    # A client may define one with the same name.
    names = {function["function"]["name"] for function in functions}
    if WEB_SEARCH in names:
        search = None
    missing = [name for name in missing if name not in names]
    return ToolOffer([*functions, TOOL] if search else functions, missing, search)


def _limits(tool: AnthropicTool) -> SearchLimits:
    limits = SearchLimits(allowed=tool.allowed_domains or [], blocked=tool.blocked_domains or [])
    return limits if tool.max_uses is None else replace(limits, most=tool.max_uses)


_Definition = tuple[str, dict[str, Any]]
"""A tool's description and schema."""


def _function(tool: AnthropicTool, known: _Definition | None, field: str) -> dict[str, Any]:
    description, schema = known or (tool.description or "", tool.input_schema)
    if not tool.name or schema is None:
        raise BadRequest(f"{field}: a tool needs a name and an input_schema")
    function = {"name": tool.name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def _client_tool(kind: str | None) -> _Definition | None:
    return next((tool for prefix, tool in _CLIENT_TOOLS.items() if (kind or "").startswith(prefix)), None)


def _definition(description: str, required: list[str], **properties: dict[str, Any]) -> _Definition:
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

_CLIENT_TOOLS = {
    "bash_": _definition(
        "Runs a command in a shell that keeps its state from one call to the next.",
        [],
        command=_text("The command."),
        restart={"type": "boolean", "description": "Begin a new shell instead."},
    ),
    "text_editor_": _definition(
        "Views, creates and edits files.",
        ["command", "path"],
        command={"type": "string", "enum": _COMMANDS},
        **_EDITING,
    ),
    "memory_": _definition(
        "Files below /memories that outlast this conversation. View that folder before all else.",
        ["command"],
        command={"type": "string", "enum": [*_COMMANDS, "delete", "rename"]},
        **_EDITING,
        old_path=_text("For rename."),
        new_path=_text("For rename."),
    ),
}
"""Tools that the client runs, by the prefix of their types; types end in a date."""

_TOOL_SEARCH = "tool_search_tool_"
"""Type prefix of searches for deferred tools. They are not needed, because all tools are offered."""
