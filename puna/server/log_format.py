"""The log's format: text, or one JSON object a line (PUNA_LOG=json)."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from typing import Any

import msgspec

from puna.server.log import request_id


def begin_log(level: int, *, json: bool) -> None:
    """Log to stderr from `level`; other packages not below WARNING.

    Other packages log URLs at INFO, and signed URLs are secret.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if json else TextLines("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(level)
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("puna").setLevel(level)


class TextLines(logging.Formatter):
    """Appends the request's id to each line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        name = request_id.get()
        return f"{line} [{name}]" if name else line


class JsonLines(logging.Formatter):
    """`time` (UTC), `level`, `message`, and if present `request` (the id) and `error` (a traceback).

    The line of a request has `status`, `seconds`, `client`, `method`, `path` and `key` (its name) instead of
    `message`.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        fields: dict[str, Any] = {"time": moment.isoformat(timespec="milliseconds")}
        fields["level"] = record.levelname.lower()
        if name := request_id.get():
            fields["request"] = name
        fields |= getattr(record, "facts", None) or {"message": record.getMessage()}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()
