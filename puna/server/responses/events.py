"""An answer as OpenAI's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from puna.inference import Begun, Call, Piece, Summary
from puna.server.framing import COMMENT
from puna.server.ids import new_id
from puna.server.json_response import encode
from puna.server.named_events import NamedEvent, named_event
from puna.server.responses.items import ToolOrigin, encode_reasoning, message_calls
from puna.server.responses.reply import ID_SIZE, Response, completed_response, failed_response
from puna.server.searching import Searched
from puna.types import Message, TokenLogprob


class ResponseEvent(NamedEvent, kw_only=True):
    """An event of a stream, numbered from 0. Its fields depend on its type."""

    response: Response | UnsetType = UNSET
    item_id: str | UnsetType = UNSET
    output_index: int | UnsetType = UNSET
    content_index: int | UnsetType = UNSET
    summary_index: int | UnsetType = UNSET
    item: dict[str, Any] | UnsetType = UNSET
    part: dict[str, Any] | UnsetType = UNSET
    delta: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    logprobs: list[dict[str, Any]] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    input: str | UnsetType = UNSET
    sequence_number: int


class _Shape(NamedTuple):
    """The names in the events of a text item: types, the id's prefix, and the field with the part's index."""

    item: str
    id: str
    part: str
    texts: str
    parts: str
    index_field: str


_TEXT = _Shape(
    "message", "msg", "output_text", "response.output_text", "response.content_part", "content_index"
)
_REASONING = _Shape(
    "reasoning",
    "rs",
    "summary_text",
    "response.reasoning_summary_text",
    "response.reasoning_summary_part",
    "summary_index",
)
"""Sent as the summary, unabridged, because clients read it there (Ollama's, too)."""


_CALLS = {
    "function": ("function_call", "fc", "arguments"),
    "custom": ("custom_tool_call", "ctc", "input"),
    "tool_search": ("tool_search_call", "tsc", "arguments"),
}
"""By kind of tool: the call item's type, the prefix of its id, the field with the model's text."""


class _Open(msgspec.Struct):
    """The item in progress."""

    shape: _Shape
    id: str
    location: dict[str, Any]
    """The fields that locate its only part."""
    more: ResponseEvent
    """The event of its next delta, reused."""
    texts: list[str] = []
    logprobs: list[dict[str, Any]] = []


class ResponseEvents:
    """The events of one answer. Each method returns the events that follow from its argument."""

    def __init__(
        self,
        response: Response,
        *,
        encrypted: bool = False,
        origins: dict[str, ToolOrigin] | None = None,
        on_finish: Callable[[ResponseEvents], None] | None = None,
    ) -> None:
        """`encrypted`: repeat reasoning in `encrypted_content`. `origins`: of functions that are not directly
        in `tools`, by the model's names for them. `on_finish` is called before the last event is sent."""
        self._origins = origins or {}
        self._on_finish = on_finish
        self.response = response
        """The response so far; complete after `end`."""
        self._encrypted = encrypted
        self._number = 0
        self._spoken = False
        self._output: list[dict[str, Any]] = []
        self._open: _Open | None = None
        self._thinking: list[str] = []
        self._text: list[str] = []
        self._calls: list[Call] = []

    def begin(self, prompt: Begun) -> bytes:
        return self._event("response.created", response=self.response) + self._waiting()

    def heartbeat(self) -> bytes:
        """An event before the first piece, because agents ignore comments.

        Later a comment, because `response.in_progress` would reset an agent's state.
        """
        return COMMENT if self._spoken else self._waiting()

    def _waiting(self) -> bytes:
        return self._event("response.in_progress", response=self.response)

    def piece(self, piece: Piece) -> bytes:
        self._spoken = True
        events = b""
        if piece.thinking:
            self._thinking.append(piece.thinking)
            events = self._delta(_REASONING, piece.thinking, ())
        if piece.text or (piece.logprobs and not piece.thinking and not piece.calls):
            self._text.append(piece.text)
            events += self._delta(_TEXT, piece.text, piece.logprobs)
        for call in piece.calls:
            events += self._call(call)
        return events

    def searched(self, searched: Searched) -> bytes:
        closed = self._close("completed")
        sources = [{"type": "url", "url": found["url"]} for found in searched.results]
        action = {"type": "search", "query": searched.query, "queries": [searched.query], "sources": sources}
        item: dict[str, Any] = {
            "id": new_id("ws", ID_SIZE),
            "type": "web_search_call",
            "status": "in_progress",
        }
        item["action"] = {**action, "sources": []}
        where = {"item_id": item["id"], "output_index": len(self._output)}
        events = closed + self._added(item)
        for step in ("in_progress", "searching", "completed"):
            events += self._event(f"response.web_search_call.{step}", **where)
        status = "failed" if searched.error else "completed"
        return events + self._done({**item, "status": status, "action": action})

    def end(self, summary: Summary) -> bytes:
        cut = summary.cut
        closed = self._close("incomplete" if cut else "completed")
        self.response = completed_response(self.response, self._output, summary)
        if self._on_finish:
            self._on_finish(self)
        return closed + self._event(f"response.{self.response.status}", response=self.response)

    def fail(self, message: str) -> bytes:
        closed = self._close("incomplete")
        self.response = failed_response(self.response, self._output, message)
        return closed + self._event("response.failed", response=self.response)

    @property
    def message(self) -> Message:
        """The answer as a message, for the next turn."""
        return Message(
            role="assistant",
            content="".join(self._text),
            thinking="".join(self._thinking),
            tool_calls=message_calls(self._calls),
        )

    def _delta(self, shape: _Shape, text: str, logprobs: tuple[TokenLogprob, ...]) -> bytes:
        before = b""
        if self._open is None or self._open.shape is not shape:
            before = self._close("completed") + self._start(shape)
        assert self._open is not None
        self._open.texts.append(text)
        more = self._open.more
        more.delta = text
        if shape is _TEXT:
            more.logprobs = [_logprob(token) for token in logprobs]
            self._open.logprobs += more.logprobs
        more.sequence_number = self._next()
        return before + named_event(more)

    def _start(self, shape: _Shape) -> bytes:
        id = new_id(shape.id, ID_SIZE)
        location = {"item_id": id, "output_index": len(self._output), shape.index_field: 0}
        more = ResponseEvent(f"{shape.texts}.delta", **location, sequence_number=self._number)
        self._open = _Open(shape, id, location, more)
        added = self._added(self._item(self._open, "in_progress"))
        return added + self._event(f"{shape.parts}.added", **location, part=_part(shape, "", []))

    def _close(self, status: str) -> bytes:
        """The end of the open item, if there is one."""
        if self._open is None:
            return b""
        opened, self._open = self._open, None
        shape, location, text = opened.shape, opened.location, "".join(opened.texts)
        logprobs = opened.logprobs if shape is _TEXT else UNSET
        part = _part(shape, text, opened.logprobs)
        events = self._event(f"{shape.texts}.done", **location, text=text, logprobs=logprobs)
        events += self._event(f"{shape.parts}.done", **location, part=part)
        return events + self._done(self._item(opened, status))

    def _done(self, item: dict[str, Any]) -> bytes:
        done = self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        return done

    def _item(self, opened: _Open, status: str) -> dict[str, Any]:
        shape, text = opened.shape, "".join(opened.texts)
        parts = [_part(shape, text, opened.logprobs)] if status != "in_progress" else []
        item = {"id": opened.id, "type": shape.item, "status": status}
        if shape is _TEXT:
            return {**item, "role": "assistant", "content": parts}
        return {
            **item,
            "summary": parts,
            "encrypted_content": encode_reasoning(text) if self._encrypted and text else None,
        }

    def _call(self, call: Call) -> bytes:
        closed = self._close("completed")
        self._calls.append(call)
        origin = self._origins.get(call.name) or ToolOrigin("", call.name)
        kind, id, field = _CALLS[origin.kind]
        item: dict[str, Any] = {"id": new_id(id, ID_SIZE), "type": kind, "status": "in_progress"}
        item["call_id"] = call.id
        if origin.kind == "tool_search":
            item |= {"execution": "client", field: {}}
            done = {**item, "status": "completed", field: call.arguments}
            return closed + self._added(item) + self._done(done)
        custom = origin.kind == "custom"
        written = str(call.arguments.get(field, "")) if custom else encode(call.arguments).decode()
        item |= {"name": origin.name, field: ""} | (
            {"namespace": origin.namespace} if origin.namespace else {}
        )
        where = {"item_id": item["id"], "output_index": len(self._output)}
        name = f"response.{kind}_{field}"
        events = closed + self._added(item)
        events += self._event(f"{name}.delta", **where, delta=written)
        events += self._event(f"{name}.done", **where, name=item["name"], **{field: written})
        return events + self._done({**item, "status": "completed", field: written})

    def _added(self, item: dict[str, Any]) -> bytes:
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _event(self, type: str, **fields: Any) -> bytes:
        return named_event(ResponseEvent(type, **fields, sequence_number=self._next()))

    def _next(self) -> int:
        number, self._number = self._number, self._number + 1
        return number


def _part(shape: _Shape, text: str, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
    part: dict[str, Any] = {"type": shape.part, "text": text}
    return {**part, "annotations": [], "logprobs": logprobs} if shape is _TEXT else part


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    top = [{"token": each.token, "bytes": each.bytes, "logprob": each.logprob} for each in token.top]
    return {"token": token.token, "bytes": token.bytes, "logprob": token.logprob, "top_logprobs": top}
