"""uvicorn's HTTP protocol, corrected: no chunked encoding for HTTP/1.0, and exactly one Host header."""

from __future__ import annotations

from typing import cast

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle


class Protocol(HttpToolsProtocol):
    """Answers HTTP/1.0 with `_Unchunked`, and HTTP/1.1 without exactly one Host with 400 (RFC 9112, 3.2)."""

    def on_headers_complete(self) -> None:
        assert self.parser
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise ValueError("a request names one host")
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":
            # Safe, because the cycle's task has not run yet.
            self.cycle.__class__ = _Unchunked


class _Unchunked(RequestResponseCycle):
    """A response whose body ends with the connection (RFC 9112, 6.1 and 6.3)."""

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(cast(HTTPResponseStartEvent, message))
        else:
            self._go_on(cast(HTTPResponseBodyEvent, message))

    def _start(self, message: HTTPResponseStartEvent) -> None:
        self.response_started = True
        headers = [*self.default_headers, *message.get("headers", ()), (b"connection", b"close")]
        lines = [b"%s: %s\r\n" % (name, value) for name, value in headers]
        self.transport.write(b"".join([STATUS_LINE[message["status"]], *lines, b"\r\n"]))

    def _go_on(self, message: HTTPResponseBodyEvent) -> None:
        if self.scope["method"] != "HEAD":
            self.transport.write(message.get("body", b""))
        if not message.get("more_body", False):
            self.response_complete = True
            self.message_event.set()
            self.transport.close()
            self.on_response()
