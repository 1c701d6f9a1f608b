"""Web search as a tool that the server itself runs, for the dialects whose clients expect that.

Sources: Anthropic, Web search tool; OpenAI, Web search; Ollama middleware/web_search.go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from puna.inference import AnswerEvent, Call, ChatInput, Inference, Piece, Summary, joined
from puna.server.content import escape_markers
from puna.server.web import SearchFailed, Web
from puna.types import Message

WEB_SEARCH = "web_search"
"""The model's name for the tool."""

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": WEB_SEARCH,
        "description": "Searches the web. Returns titles, addresses and texts of pages.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What to search for."}},
            "required": ["query"],
        },
    },
}

_RESULTS = 5
"""Of one search."""
_ROUNDS = 8
"""A model that searches in each of them gets no further."""


class SearchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's search tool allows. A domain includes its subdomains."""

    most: int = _ROUNDS
    """Searches in one answer."""
    allowed: list[str] = []
    """Domains; all if empty."""
    blocked: list[str] = []

    def allows(self, url: str) -> bool:
        """Whether a result at `url` may be used."""
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return False
        inside = [f".{host}".endswith(f".{_domain(each)}") for each in self.allowed]
        return (not inside or any(inside)) and not any(
            f".{host}".endswith(f".{_domain(each)}") for each in self.blocked
        )


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """A search that the model called for."""

    id: str
    """Of the call."""
    query: str
    results: list[dict[str, str]] = []
    """Each has `title`, `url` and `content`."""
    error: str = ""
    """Why there are no results, as Anthropic's code: "unavailable", "max_uses_exceeded"."""


SearchingEvent = AnswerEvent | Searched


async def searching_answer(
    inference: Inference, ask: ChatInput, web: Web, limits: SearchLimits
) -> AsyncGenerator[SearchingEvent, None]:
    """The answer, for which the model may search: after each search it goes on with the results.

    Calls of WEB_SEARCH become Searched. Calls of other tools end the answer, because the client runs them.
    """
    made = evaluated = reasoned = 0
    for left in reversed(range(_ROUNDS)):
        pieces: list[Piece] = []
        summary = Summary(reason="stop")
        async with aclosing(inference.chat(ask)) as answer:
            async for event in answer:
                if isinstance(event, Summary):
                    summary = event
                elif isinstance(event, Piece):
                    pieces.append(event)
                    yield replace(event, calls=tuple(call for call in event.calls if call.name != WEB_SEARCH))
                else:
                    yield event
        said = joined(pieces)
        wanted = [call for call in said.calls if call.name == WEB_SEARCH]
        found: list[Searched] = []
        for call in wanted:
            found.append(await _search(web, call, limits, made))
            made += 1
            yield found[-1]
        evaluated += summary.eval_tokens
        reasoned += summary.reasoning_tokens
        if not wanted or len(wanted) < len(said.calls) or summary.cut or not left:
            yield replace(summary, eval_tokens=evaluated, reasoning_tokens=reasoned)
            return
        ask = _continued(ask, said, found, summary)


async def _search(web: Web, call: Call, limits: SearchLimits, made: int) -> Searched:
    query = str(call.arguments.get("query", ""))
    if made >= limits.most:
        return Searched(id=call.id, query=query, error="max_uses_exceeded")
    try:
        results = await web.search(query, _RESULTS, limits.allows)
    except SearchFailed:
        return Searched(id=call.id, query=query, error="unavailable")
    return Searched(id=call.id, query=query, results=results)


def _continued(ask: ChatInput, said: Piece, found: Iterable[Searched], summary: Summary) -> ChatInput:
    """`ask` with what the model said and what it found. It need not call a tool again."""
    answered = Message(
        role="assistant",
        content=escape_markers(said.text),
        thinking=said.thinking,
        tool_calls=[_earlier(call) for call in said.calls],
    )
    results = [
        Message(role="tool", content=escape_markers(_text(each)), tool_name=WEB_SEARCH, tool_call_id=each.id)
        for each in found
    ]
    options, limit = ask.options, ask.options.get("num_predict")
    if limit is not None and limit > 0:
        options = {**options, "num_predict": max(limit - summary.eval_tokens, 1)}
    messages = [*ask.messages, answered, *results]
    return replace(ask, messages=messages, options=options, tool_choice="auto", tool_name="")


def _earlier(call: Call) -> dict[str, Any]:
    function = {"index": call.index, "name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _text(searched: Searched) -> str:
    """What the model reads of a search."""
    if searched.error:
        return f"Error: {searched.error}"
    texts = [
        "\n".join(filter(None, (each["title"], each["url"], each["content"]))) for each in searched.results
    ]
    return "\n\n".join(texts) or "Nothing was found."


def _domain(given: str) -> str:
    """The host of a domain that may be written as an address."""
    return given.lower().split("://")[-1].split("/")[0].removeprefix("*.").removeprefix(".")
