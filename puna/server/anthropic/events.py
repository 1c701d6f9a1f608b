"""A streamed answer as Anthropic's events; everything but a delta's text is encoded once a block."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.inference import Begun, Call, Piece, Summary
from puna.server.anthropic.answer import RequestFacts, ending, head, tool_use
from puna.server.framing import named_event

_encode = msgspec.json.Encoder().encode

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOPPED = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TAIL = b"}}\n\n"

BlockKind = Literal["text", "thinking"]


class MessageEvents:
    """The events of one answer. Each method returns the events that follow from its argument."""

    def __init__(self, facts: RequestFacts) -> None:
        self._facts = facts
        self._open: BlockKind | None = None
        self._index = 0
        """Of the open block, or else of the next one."""
        self._head = b""
        """Of a delta of the open block, up to its text."""
        self._called = False

    def begin(self, begun: Begun) -> bytes:
        return named_event("message_start", {"message": head(self._facts, begun)}) + PING

    def piece(self, piece: Piece) -> bytes:
        """Empty when the piece holds nothing."""
        events = b""
        if piece.thinking:
            events = self._delta("thinking", piece.thinking)
        if piece.text:
            events += self._delta("text", piece.text)
        for call in piece.calls:
            events += self._call(call)
        return events

    def end(self, summary: Summary) -> bytes:
        delta, usage = ending(self._facts, summary, self._called)
        return self._close() + named_event("message_delta", {"delta": delta, "usage": usage}) + _STOPPED

    def _delta(self, kind: BlockKind, text: str) -> bytes:
        before = b"" if self._open == kind else self._close() + self._start(kind)
        if kind == "thinking" and not self._facts.thinking_shown:
            return before
        return before + self._head + _encode(text) + _TAIL

    def _start(self, kind: BlockKind) -> bytes:
        self._open = kind
        self._head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"%s_delta","%s":' % (self._index, kind.encode(), kind.encode())
        )
        block = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
        return self._about("content_block_start", {"content_block": block})

    def _close(self) -> bytes:
        """The end of the open block, if there is one."""
        if self._open is None:
            return b""
        # Nothing is signed, but clients need a signature to end a thinking block.
        signed = self._signature() if self._open == "thinking" else b""
        self._open = None
        return signed + self._stop()

    def _signature(self) -> bytes:
        return self._about("content_block_delta", {"delta": {"type": "signature_delta", "signature": ""}})

    def _call(self, call: Call) -> bytes:
        self._called = True
        closed = self._close()
        arguments = {"type": "input_json_delta", "partial_json": _encode(call.arguments).decode()}
        return b"".join((
            closed,
            self._about("content_block_start", {"content_block": tool_use(call, {})}),
            self._about("content_block_delta", {"delta": arguments}),
            self._stop(),
        ))  # fmt: skip

    def _stop(self) -> bytes:
        stopped = self._about("content_block_stop", {})
        self._index += 1
        return stopped

    def _about(self, name: str, fields: dict[str, Any]) -> bytes:
        return named_event(name, {"index": self._index, **fields})


def failed(line: bytes) -> bytes:
    """The event that ends a stream, from the error's JSON."""
    return b"event: error\ndata: " + line + b"\n\n"
