"""Tools with every kind of parameter."""

from __future__ import annotations

from typing import Any


def tool(name: str, properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required), **more}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


NOW: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
FORECAST = tool(
    "get_forecast",
    {
        "zone": {"type": "string"},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "exact": {"type": "number"},
        "brief": {"type": "boolean"},
        "unit": {"type": "string", "enum": ["°C", 'it\'s "F"', "K"]},
    },
    "zone",
    "unit",
)
NESTED = tool(
    "store-it",
    {
        "where": {
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
            },
            "required": ["tags"],
        },
        "points": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "how": {"anyOf": [{"type": "string", "enum": ["fast", "safe"]}, {"type": "null"}]},
        "level": {"enum": [1, 2, "most"]},
    },
    "points",
)
TREE = tool(
    "grow",
    {
        "tree": {"$ref": "#/$defs/tree"},
        "name": {"type": "string", "pattern": "^[a-z]{2,5}$"},
        "note": {"type": ["string", "integer"]},
        "id": {"type": "string", "minLength": 2, "maxLength": 4},
        "any": {},
    },
    "tree",
    "name",
    **{
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "leaf": {"type": "boolean"},
                    "branches": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                },
                "required": ["leaf"],
            }
        }
    },
)
TOOLS = [NOW, FORECAST, NESTED, TREE]

WRITE = tool(
    "write",
    {"path": {"type": "string"}, "text": {"type": "string"}, "mode": {"type": "integer"}},
    "path",
    "text",
)
