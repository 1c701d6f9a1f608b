"""Records the bodies of inference requests (Ollama server/inference_request_log.go)."""

from __future__ import annotations

import itertools
import logging
import re
import shlex
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

_PATHS = {
    *("/api/generate", "/api/chat"),
    *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"),
}


class RequestRecorder:
    """ASGI middleware: writes each body to a temporary folder, with a script that sends it again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._folder = Path(tempfile.mkdtemp(prefix="puna-request-logs-"))
        self._numbers = itertools.count(1)
        _log.info("request bodies are kept in %s, each with a script that sends it again", self._folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in _PATHS:
            await self._app(scope, receive, send)
            return
        body: list[bytes] = []

        async def receiving() -> Message:
            message = await receive()
            body.append(message.get("body", b""))
            return message

        try:
            await self._app(scope, receiving, send)
        finally:
            try:
                self._keep(scope, b"".join(body))
            except OSError as error:
                _log.warning("a request body could not be kept: %s", error)

    def _keep(self, scope: Scope, body: bytes) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        route = re.sub(r"\W", "_", scope["path"].lstrip("/"))
        stem = f"{moment}-{next(self._numbers):06d}_{route}"
        content = self._folder / f"{stem}_body.json"
        script = self._folder / f"{stem}_request.sh"
        for path in (content, script):
            path.touch(mode=0o600)
        content.write_bytes(body)
        url = shlex.quote(f"{scope['scheme']}://{headers.get('host', 'localhost:11434')}{scope['path']}")
        sent = {"content-type": headers.get("content-type", "application/json")}
        if coding := headers.get("content-encoding"):
            sent["content-encoding"] = coding
        options = " ".join(f"--header {shlex.quote(f'{name}: {value}')}" for name, value in sent.items())
        data = f'--data-binary @"$(dirname "$0")/{content.name}"'
        script.write_text(f"#!/bin/sh\ncurl --request POST --url {url} {options} {data}\n")
        _log.info("request body kept in %s, sent again by: sh %s", content, script)
