"""A streamed answer as Anthropic's events."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from puna.inference import Begun, Call, Piece, Summary
from puna.server.anthropic.answer import (
    MessageResponse,
    MessageUsage,
    RequestFacts,
    ending,
    message_start,
    search_blocks,
    tool_use,
)
from puna.server.json_response import encode
from puna.server.named_events import NOT_STARTED, NamedEvent, named_event
from puna.server.searching import Searched


class MessageEvent(NamedEvent, kw_only=True):
    """An event of a stream. Its fields depend on its type (Anthropic, Streaming Messages)."""

    message: MessageResponse | UnsetType = UNSET
    index: int | UnsetType = UNSET
    """Of the block."""
    content_block: dict[str, Any] | UnsetType = UNSET
    delta: dict[str, Any] | UnsetType = UNSET
    usage: MessageUsage | UnsetType = UNSET


PING = named_event(MessageEvent("ping"))
_STOPPED = named_event(MessageEvent("message_stop"))

BlockKind = Literal["text", "thinking"]


class MessageEvents:
    """The events of one answer. Each method returns the events that follow from its argument."""

    def __init__(self, facts: RequestFacts) -> None:
        self.response = message_start(facts, NOT_STARTED)
        """The message so far; complete after `end`."""
        self._facts = facts
        self._blocks: list[dict[str, Any]] = []
        self._open: BlockKind | None = None
        self._texts: list[str] = []
        """Of the open block."""
        self._more = MessageEvent("content_block_delta")
        """The event of the open block's next delta, reused."""
        self._called = False
        self._searches = 0

    def begin(self, prompt: Begun) -> bytes:
        self.response = message_start(self._facts, prompt)
        return named_event(MessageEvent("message_start", message=self.response)) + PING

    def heartbeat(self) -> bytes:
        return PING

    def piece(self, piece: Piece) -> bytes:
        events = b""
        if piece.thinking:
            events = self._delta("thinking", piece.thinking)
        if piece.text:
            events += self._delta("text", piece.text)
        for call in piece.calls:
            events += self._call(call)
        return events

    def searched(self, searched: Searched) -> bytes:
        self._searches += searched.error != "max_uses_exceeded"
        call, results = search_blocks(searched)
        started = self._tool_start({**call, "input": {}}, call["input"])
        stopped = self._stop(call)
        return (
            started
            + stopped
            + self._about("content_block_start", content_block=results)
            + self._stop(results)
        )

    def end(self, summary: Summary) -> bytes:
        closed = self._close()
        delta, usage = ending(self._facts, summary, self._called)
        if self._searches:
            usage.server_tool_use = {"web_search_requests": self._searches, "web_fetch_requests": 0}
        self.response = replace(self.response, content=self._blocks, usage=usage, **delta)
        return closed + named_event(MessageEvent("message_delta", delta=delta, usage=usage)) + _STOPPED

    def _delta(self, kind: BlockKind, text: str) -> bytes:
        before = b"" if self._open == kind else self._close() + self._start(kind)
        if kind == "thinking" and not self._facts.thinking_shown:
            return before
        self._texts.append(text)
        self._more.delta = {"type": f"{kind}_delta", kind: text}
        return before + named_event(self._more)

    def _start(self, kind: BlockKind) -> bytes:
        self._open, self._texts, self._more.index = kind, [], len(self._blocks)
        return self._about("content_block_start", content_block=_block(kind, ""))

    def _close(self) -> bytes:
        """The end of the open block, if there is one."""
        if self._open is None:
            return b""
        # Empty, but clients need a signature to end a thinking block.
        signed = self._signature() if self._open == "thinking" else b""
        block = _block(self._open, "".join(self._texts))
        self._open = None
        return signed + self._stop(block)

    def _signature(self) -> bytes:
        return self._about("content_block_delta", delta={"type": "signature_delta", "signature": ""})

    def _call(self, call: Call) -> bytes:
        self._called = True
        started = self._tool_start(tool_use(call, {}), call.arguments)
        return started + self._stop(tool_use(call, call.arguments))

    def _tool_start(self, block: dict[str, Any], arguments: dict[str, Any]) -> bytes:
        """The begin of a block whose input is `arguments`."""
        closed = self._close()
        delta = {"type": "input_json_delta", "partial_json": encode(arguments).decode()}
        started = self._about("content_block_start", content_block=block)
        return closed + started + self._about("content_block_delta", delta=delta)

    def _stop(self, block: dict[str, Any]) -> bytes:
        stopped = self._about("content_block_stop")
        self._blocks.append(block)
        return stopped

    def _about(self, type: str, **fields: Any) -> bytes:
        return named_event(MessageEvent(type, index=len(self._blocks), **fields))


def _block(kind: BlockKind, text: str) -> dict[str, Any]:
    return {"type": kind, kind: text} | ({"signature": ""} if kind == "thinking" else {})


def error_event(line: bytes) -> bytes:
    """The event that ends a stream, from the error's JSON."""
    return b"event: error\ndata: " + line + b"\n\n"
