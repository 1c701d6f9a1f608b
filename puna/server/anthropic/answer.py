"""A Messages response, and the parts that it shares with a stream."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from puna.inference import Answer, Begun, Call, Summary
from puna.server.anthropic.requests import MessagesRequest
from puna.server.ids import new_id
from puna.server.searching import WEB_SEARCH, Searched


class MessageUsage(msgspec.Struct):
    """Tokens. `input_tokens` does not include cached ones, `output_tokens` includes those of thinking."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: dict[str, int] | UnsetType = UNSET
    server_tool_use: dict[str, int] | UnsetType = UNSET
    """Searches of the web, if there were any."""


class MessageResponse(msgspec.Struct):
    """A whole answer; at a stream's begin, one without content (Anthropic, Messages)."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    """Blocks."""
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class RequestFacts(msgspec.Struct, frozen=True):
    """What a response needs from its request."""

    id: str
    model: str
    max_tokens: int
    stops: list[str]
    thinking_shown: bool


def request_facts(body: MessagesRequest) -> RequestFacts:
    """The facts of `body`, with a new message id."""
    shown = body.thinking is None or body.thinking.display != "omitted"
    return RequestFacts(new_id("msg"), body.model, body.max_tokens, body.stop_sequences or [], shown)


async def without_text(answer: Answer) -> Answer:
    """The answer without text: the request only warms the cache (`max_tokens` 0)."""
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Begun):
                yield item
            elif isinstance(item, Summary):
                yield replace(item, reason="length", eval_tokens=0)


def message_start(facts: RequestFacts, begun: Begun) -> MessageResponse:
    """The message before its first token."""
    return MessageResponse(facts.id, "message", "assistant", facts.model, [], None, None, _usage(begun, 0))


def ending(facts: RequestFacts, summary: Summary, called: bool) -> tuple[dict[str, Any], MessageUsage]:
    """The stop reason, and the usage."""
    stop = summary.stop if summary.stop in facts.stops else ""
    if summary.cut:
        full = summary.reason == "length" and summary.eval_tokens < facts.max_tokens
        reason = "model_context_window_exceeded" if full else "max_tokens"
    elif called:
        reason = "tool_use"
    else:
        reason = "stop_sequence" if stop else "end_turn"
    usage = _usage(summary, summary.eval_tokens)
    usage.output_tokens_details = {"thinking_tokens": summary.reasoning_tokens}
    return {"stop_reason": reason, "stop_sequence": stop or None}, usage


def tool_use(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """A `tool_use` block, with an id in Anthropic's format."""
    return {
        "type": "tool_use",
        "id": f"toolu_{call.id.removeprefix('call_')}",
        "name": call.name,
        "input": arguments,
    }


def search_blocks(searched: Searched) -> list[dict[str, Any]]:
    """A search and its results, as blocks (Anthropic, Web search tool)."""
    id = f"srvtoolu_{searched.id.removeprefix('call_')}"
    call = {"type": "server_tool_use", "id": id, "name": WEB_SEARCH, "input": {"query": searched.query}}
    content: Any = [
        {
            "type": "web_search_result",
            "url": found["url"],
            "title": found["title"],
            "encrypted_content": "",
            "page_age": None,
        }
        for found in searched.results
    ]
    if searched.error:
        content = {"type": "web_search_tool_result_error", "error_code": searched.error}
    return [call, {"type": "web_search_tool_result", "tool_use_id": id, "content": content}]


def _usage(read: Begun | Summary, written: int) -> MessageUsage:
    # Clients take 0 input tokens for a missing count, so the last token of a prompt counts as new.
    cached = min(read.cached_tokens, max(read.prompt_tokens - 1, 0))
    return MessageUsage(read.prompt_tokens - cached, 0, cached, written)
