"""How the log is written: text for people, or JSON, an object a line, for programs (PUNA_LOG=json)."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timezone
from typing import Any

import msgspec

from puna.server.log import request_id


def begin_log(*, debug: bool, json: bool) -> None:
    """Write what Puna logs to stderr; what other packages log, only from warnings on.

    They log the URLs they ask for, and those of registries and pictures may be signed.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if json else TextLines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("puna").setLevel(logging.DEBUG if debug else logging.INFO)


class TextLines(logging.Formatter):
    """Ends a line of a request with its id."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        name = request_id.get()
        return f"{line} [{name}]" if name else line


class JsonLines(logging.Formatter):
    """`time` (UTC), `level` and `message`; `request` and `error` (a traceback) where there is one.

    A request's own line has `status`, `seconds`, `client`, `method`, `path` and `key` (its name) instead of a
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
