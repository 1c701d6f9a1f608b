"""Sends events to the server."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import BinaryIO

import msgspec

from puna.engine.messages import Event, frame


class Output:
    """Writes frames of events; called from all threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._encoder = msgspec.msgpack.Encoder()
        self._lock = Lock()

    def send(self, events: list[Event]) -> None:
        data = frame(self._encoder.encode(events))
        # When the server has gone, the reader thread notices and ends the process.
        with self._lock, suppress(BrokenPipeError):
            self._stream.write(data)
            self._stream.flush()
