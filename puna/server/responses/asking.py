"""A Responses request as inference takes one: tools, reasoning, the answer's form, sampling."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from puna.inference import ChatRequest, Think
from puna.server.content import unmarked
from puna.server.responses.errors import Invalid
from puna.server.responses.events import Place
from puna.server.responses.items import qualified
from puna.server.responses.requests import DEFAULT, PromptBody, ResponsesBody
from puna.types import Message

HOSTED = (
    "code_interpreter", "file_search", "image_generation", "mcp", "web_search", "web_search_2025_08_26",
    "web_search_preview", "web_search_preview_2025_03_11",
)  # fmt: skip
"""Tools that OpenAI's own servers run: the model is not told of them."""

LOGPROBS = "message.output_text.logprobs"
"""In `include`."""

_EFFORTS: dict[str, Think] = {"none": False, "minimal": "low", "xhigh": "max"}

Way = Literal["auto", "none", "required"]


def asked(body: PromptBody, messages: list[Message]) -> ChatRequest:
    """What `body` asks for, at the end of `messages`. Raises Invalid."""
    tools, way, name = _chosen(body)
    if body.instructions:
        messages = [Message(role="system", content=unmarked(body.instructions)), *messages]
    effort = body.reasoning and body.reasoning.effort
    return ChatRequest(
        model=body.model,
        messages=messages,
        tools=tools,
        tool_choice=way,
        tool_name=name,
        parallel_calls=body.parallel_tool_calls is not False,
        schema=_schema(body),
        think=_EFFORTS.get(effort, effort) if effort else None,  # pyright: ignore[reportArgumentType]
        truncate=body.truncation == "auto",
        shift=False,
        logprobs=_logprobs(body),
        options=_options(body),
    )


def places(body: PromptBody) -> dict[str, Place]:
    """Where the functions that are in a namespace are, by the names that the model knows. Raises Invalid."""
    return {tool["function"]["name"]: place for tool, place in _offered(body) if place.namespace}


def _schema(body: PromptBody) -> dict[str, Any] | None:
    form = body.text and body.text.format
    if not form or form.type == "text":
        return None
    if form.type == "json_object":
        return {"type": "object"}
    if form.schema is None:
        raise Invalid("text.format.schema", "is needed for a json_schema", "missing_required_parameter")
    return form.schema


def _logprobs(body: PromptBody) -> int | None:
    if not isinstance(body, ResponsesBody):
        return None
    return body.top_logprobs or (0 if LOGPROBS in (body.include or ()) else None)


def _options(body: PromptBody) -> dict[str, Any]:
    if not isinstance(body, ResponsesBody):
        return {}
    return {
        "num_predict": body.max_output_tokens,
        "temperature": DEFAULT if body.temperature is None else body.temperature,
        "top_p": DEFAULT if body.top_p is None else body.top_p,
    }


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Namespace(msgspec.Struct):
    name: str
    tools: list[dict[str, Any]]


class _Named(msgspec.Struct):
    name: str
    type: Literal["function"] = "function"


class _Allowed(msgspec.Struct):
    tools: list[_Named]
    mode: Literal["auto", "required"]


def _chosen(body: PromptBody) -> tuple[list[dict[str, Any]], Way, str]:
    """The tools, whether one of them must be called, and which."""
    tools = [tool for tool, _ in _offered(body)]
    wanted = body.tool_choice
    if wanted is None or wanted == "auto":
        return tools, "auto", ""
    if wanted == "none":
        return tools, "none", ""
    if wanted == "required":
        _known([], tools)
        return tools, "required", ""
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind == "function":
        name = _read("tool_choice", wanted, _Named).name
        _known([name], tools)
        return tools, "required", name
    if kind == "allowed_tools":
        allowed = _read("tool_choice", wanted, _Allowed)
        names = [tool.name for tool in allowed.tools]
        _known(names, tools)
        return [tool for tool in tools if tool["function"]["name"] in names], allowed.mode, ""
    raise Invalid("tool_choice", f'"{kind}" is not supported', "unsupported_value")


def _offered(body: PromptBody) -> list[tuple[dict[str, Any], Place]]:
    return [
        tool for number, given in enumerate(body.tools or ()) for tool in _tools(given, f"tools[{number}]")
    ]


def _tools(given: dict[str, Any], place: str, namespace: str = "") -> list[tuple[dict[str, Any], Place]]:
    """The functions in one of `tools`: itself, those of a namespace, or none."""
    kind = given.get("type")
    if kind in HOSTED:
        return []
    if kind == "namespace" and not namespace:
        group = _read(place, given, _Namespace)
        inner = enumerate(group.tools)
        return [tool for at, one in inner for tool in _tools(one, f"{place}.tools[{at}]", group.name)]
    if kind != "function":
        raise Invalid(place, f'a tool of type "{kind}" is not supported', "unsupported_value")
    function = _read(place, given, _Function)
    described = {
        "name": qualified(namespace, function.name),
        "description": function.description or "",
        "parameters": function.parameters or {"type": "object", "properties": {}},
    }
    return [({"type": "function", "function": described}, Place(namespace, function.name))]


def _known(names: list[str], tools: list[dict[str, Any]]) -> None:
    there = [tool["function"]["name"] for tool in tools]
    if not there:
        raise Invalid("tool_choice", "there are no tools to choose from")
    for name in names:
        if name not in there:
            raise Invalid("tool_choice", f'there is no tool "{name}"')


T = TypeVar("T")


def _read(place: str, given: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Invalid(place, str(error)) from None
