"""A Responses request converted to inference's input."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec

from puna.errors import BadRequest
from puna.inference import ChatInput
from puna.server.body import convert
from puna.server.content import escape_markers
from puna.server.fields import Fields
from puna.server.openai.parts import FunctionDefinition
from puna.server.openai.reasoning import think
from puna.server.openai.tools import choose, tool
from puna.server.responses.errors import invalid
from puna.server.responses.items import CUSTOM_PARAMETERS, SEARCH, TOOL_ITEMS, ToolOrigin, qualified_name
from puna.server.responses.requests import DEFAULT, InputTokensRequest, ResponsesRequest
from puna.server.searching import TOOL, WEB_SEARCH, SearchLimits
from puna.types import Message

WEB_SEARCHES = ("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11")
"""Types of web searches. The server runs them if it has a search engine."""

HOSTED = (
    "code_interpreter", "file_search", "image_generation", "mcp", "programmatic_tool_calling", *WEB_SEARCHES
)  # fmt: skip
"""Types of hosted tools. They do not exist here and are not offered."""

LOGPROBS = "message.output_text.logprobs"
"""The value in `include` that asks for log-probabilities."""


class FunctionOffer(NamedTuple):
    """The functions offered, and by name the origins of those that are not directly in `tools`."""

    tools: list[dict[str, Any]]
    origins: dict[str, ToolOrigin]
    search: SearchLimits | None = None
    """Of the search that the server runs; None if it runs none."""


def function_offer(body: InputTokensRequest, *, searches: bool = False) -> FunctionOffer:
    """The functions in `tools` and in input items. Raises BadRequest.

    `searches`: the server can search the web.
    """
    lists = [("tools", body.tools or [])]
    if isinstance(body.input, list):
        lists += [
            (f"input[{number}].tools", item.tools or [])
            for number, item in enumerate(body.input)
            if item.type in TOOL_ITEMS
        ]
    found = {
        function.name: (function, origin)
        for where, tools in lists
        for number, given in enumerate(tools)
        for function, origin in _tools(given, f"{where}[{number}]")
    }
    tools = [tool(function) for function, _ in found.values()]
    origins = {name: origin for name, (_, origin) in found.items() if origin != ToolOrigin("", name)}
    wanted = [each for each in body.tools or () if each.get("type") in WEB_SEARCHES]
    # A client may define one with the same name.
    if not (searches and wanted) or WEB_SEARCH in found:
        return FunctionOffer(tools, origins)
    filters = _read("tools", wanted[0], _WebSearch).filters or _Filters()
    limits = SearchLimits(allowed=filters.allowed_domains or [], blocked=filters.blocked_domains or [])
    return FunctionOffer([*tools, TOOL], origins, limits)


def chat_input(body: InputTokensRequest, messages: list[Message], offer: FunctionOffer) -> ChatInput:
    """`body` as inference's input, with these messages. Raises BadRequest."""
    wanted = body.tool_choice
    if offer.search and isinstance(wanted, dict) and wanted.get("type") in WEB_SEARCHES:
        wanted = {"type": "function", "name": WEB_SEARCH}
    choice = choose(offer.tools, wanted)
    if body.instructions:
        messages = [Message(role="system", content=escape_markers(body.instructions)), *messages]
    return ChatInput(
        model=body.model,
        messages=messages,
        tools=choice.tools,
        tool_choice=choice.mode,
        tool_name=choice.name,
        parallel_calls=body.parallel_tool_calls is not False,
        schema=_schema(body),
        think=think("reasoning.effort", body.reasoning and body.reasoning.effort),
        truncate=body.truncation == "auto",
        shift=False,
        logprobs=_logprobs(body),
        options=_options(body),
    )


def _schema(body: InputTokensRequest) -> dict[str, Any] | None:
    format = body.text and body.text.format
    if not format or format.type == "text":
        return None
    if format.type == "json_object":
        return {"type": "object"}
    if format.schema is None:
        raise invalid("text.format.schema", "is needed for a json_schema", "missing_required_parameter")
    return format.schema


def _logprobs(body: InputTokensRequest) -> int | None:
    if not isinstance(body, ResponsesRequest):
        return None
    return body.top_logprobs or (0 if LOGPROBS in (body.include or ()) else None)


def _options(body: InputTokensRequest) -> dict[str, Any]:
    if not isinstance(body, ResponsesRequest):
        return {}
    return {
        "num_predict": body.max_output_tokens,
        "temperature": DEFAULT if body.temperature is None else body.temperature,
        "top_p": DEFAULT if body.top_p is None else body.top_p,
    }


class _Namespace(Fields):
    name: str
    tools: list[dict[str, Any]]


class _Filters(Fields):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class _WebSearch(Fields):
    filters: _Filters | None = None


class _CustomFormat(Fields):
    type: str
    syntax: str = ""
    definition: str = ""


class _Custom(Fields):
    """A custom tool, which takes free text."""

    name: str
    description: str | None = None
    format: _CustomFormat | None = None


def _tools(
    given: dict[str, Any], field: str, namespace: str = ""
) -> list[tuple[FunctionDefinition, ToolOrigin]]:
    """The functions of one entry of `tools`: itself, those of a namespace, or none."""
    kind = given.get("type")
    if kind in HOSTED or (kind == SEARCH and given.get("execution") != "client"):
        return []
    if kind == "namespace" and not namespace:
        group = _read(field, given, _Namespace)
        inner = enumerate(group.tools)
        return [one for at, each in inner for one in _tools(each, f"{field}.tools[{at}]", group.name)]
    if kind == "custom":
        custom = _read(field, given, _Custom)
        function = FunctionDefinition(custom.name, _custom_description(custom), CUSTOM_PARAMETERS)
    elif kind == SEARCH:
        function = _read(field, {"name": SEARCH, **given}, FunctionDefinition)
    elif kind == "function":
        nested = given.get("function")
        function = _read(field, nested if isinstance(nested, dict) else given, FunctionDefinition)
    else:
        raise invalid(field, f'a tool of type "{kind}" is not supported', "unsupported_value")
    name = qualified_name(namespace, function.name)
    known = msgspec.structs.replace(function, name=name)
    return [(known, ToolOrigin(namespace, function.name, kind))]


def _custom_description(custom: _Custom) -> str:
    """The description of a custom tool. Its grammar is described, not enforced."""
    description = custom.description or ""
    if custom.format is None or not custom.format.definition:
        return description
    format = custom.format
    return f"{description}\n\nThe input is text of this {format.syntax} grammar:\n{format.definition}"


T = TypeVar("T")


def _read(field: str, given: Any, kind: type[T]) -> T:
    try:
        return convert(given, kind)
    except BadRequest as error:
        raise BadRequest(
            f"{field}: {error}", f"{field}.{error.field}".removesuffix("."), error.code
        ) from None
