"""A JSON Schema as it was decoded, and the names of its types."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
