"""JSON responses of one object."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json; charset=utf-8"

encode = msgspec.json.Encoder().encode


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as JSON."""
    return Response(encode(value), status, media_type=JSON)
