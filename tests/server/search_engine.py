"""A search engine, and a site with pages, on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = """<html><head><title>A &amp; B</title><style>p { color: red }</style></head><body>
<h1>Heading</h1><p>First   words <a href="/next?x=1">next</a></p><script>alert(1)</script>
<ul><li>one</li><li>two <a href="mailto:a@b.c">mail</a></li></ul></body></html>"""
RESULTS = [{"title": f"T{n}", "url": f"http://r/{n}", "content": f"C{n}", "score": n} for n in range(20)]


class Engine(BaseHTTPRequestHandler):
    """Answers as a SearXNG server does, and has a page."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        if asked.path == "/search" and query.get("format") == ["json"] and query["q"] == ["why?"]:
            self._answer("application/json", json.dumps({"query": "why?", "results": RESULTS}))
        elif asked.path == "/page":
            self._answer("text/html; charset=utf-8", PAGE)
        elif asked.path == "/text":
            self._answer("text/plain", "plain words")
        elif asked.path == "/picture":
            self._answer("image/png", "x")
        else:
            self.send_error(403)

    def _answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def search_engine() -> Iterator[str]:
    """The address of a running one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
