"""uvicorn's HTTP protocol, corrected: upgrades declined, no chunks for HTTP/1.0, exactly one Host header."""

from __future__ import annotations

from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle


class Protocol(HttpToolsProtocol):
    """Answers HTTP/1.0 with `_Unchunked`, and HTTP/1.1 without exactly one Host with 400 (RFC 9112, 3.2).

    Declines to upgrade (RFC 9110, 7.8). Java's client offers HTTP/2 with each request, and httptools takes
    what follows for HTTP/2. So the request is parsed again without the offer.
    """

    def data_received(self, data: bytes) -> None:
        assert self.parser
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
                # A new one, because after "Connection: close" the old one reads no more.
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            except HttpParserError:
                self.logger.warning("Invalid HTTP request received.")
                self.send_400_response("Invalid HTTP request received.")
                return

    def _head_without_offer(self) -> bytes:
        assert self.parser
        first = b"%s %s HTTP/%s\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        headers = (b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"".join([first, *headers, b"\r\n"])

    def on_message_complete(self) -> None:
        assert self.parser
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_headers_complete(self) -> None:
        assert self.parser
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this server is no proxy")
            return
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
