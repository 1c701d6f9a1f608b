"""Writes operations as an OpenAPI 3.1 description."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from puna import __version__
from puna.server.openapi.operation import EVENTS, JSON, KEYED, REASONS, Operation
from puna.server.scopes import required_scope

_ABOUT = (
    "Ollama's API, and those of OpenAI and Anthropic, on your own machine. A stream is one JSON object a "
    "line, or an event each for a client that accepts text/event-stream. GET answers HEAD too."
)

JsonObject = dict[str, Any]

_SCHEMES: JsonObject = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key (puna keys create)"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key"},
}


def describe(operations: Iterable[Operation]) -> bytes:
    """The description as JSON."""
    operations = list(operations)
    kinds = [
        kind
        for one in operations
        for kind in (one.body, one.answer, one.event, one.error)
        if kind is not None
    ]
    unique = list({id(kind): kind for kind in kinds}.values())
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        # Requests ignore unknown fields (puna.server.fields).
        if schema.get("additionalProperties") is False:
            del schema["additionalProperties"]
    by_kind = dict(zip(map(id, unique), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, lambda kind: by_kind[id(kind)])
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Puna", "version": __version__, "description": _ABOUT},
        "tags": [{"name": name} for name in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }
    return msgspec.json.encode(whole)


def _operation(one: Operation, schema: Callable[[Any], JsonObject]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{one.method.lower()}{one.path}").strip("_"),
        "tags": [one.tag],
        "summary": one.summary,
    }
    if one.parameters:
        fields["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
            for name, pattern in one.parameters
        ]
    if one.body is not None:
        body = _required(schema(one.body), one)
        fields["requestBody"] = {"required": True, "content": {one.body_media: {"schema": body}}}
    elif one.body_media != JSON:
        fields["requestBody"] = {"required": True, "content": {one.body_media: {}}}
    fields["responses"] = {"200": _success(one, schema)}
    if one.created:
        fields["responses"]["201"] = {"description": "It was made."}
    scope = required_scope(one.path)
    if scope:
        # {} is no key, for a server without keys.
        fields["security"] = [{"bearer": [scope]}, {"header": [scope]}, {}]
    for status in sorted({*one.refusals, *(KEYED if scope else ())}):
        refusal: dict[str, Any] = {"description": REASONS[status]}
        if one.error is not None:
            refusal["content"] = {JSON: {"schema": schema(one.error)}}
        fields["responses"][str(status)] = refusal
    return fields


def _required(body: JsonObject, one: Operation) -> JsonObject:
    """The body's schema, with the required fields whose types are optional (`needs`, `takes`)."""
    if not one.needs and not one.takes:
        return body
    fields: JsonObject = {name: {"minLength": 1, "minItems": 1} for name in one.needs}
    there = {name: {"not": {"type": "null"}} for name in (*one.needs, *one.takes)}
    properties = {name: there[name] | fields.get(name, {}) for name in there}
    return {"allOf": [body, {"required": list(there), "properties": properties}]}


def _success(one: Operation, schema: Callable[[Any], JsonObject]) -> dict[str, Any]:
    if one.answer is None:
        return {"description": "Done."}
    content = {media: {"schema": schema(one.answer)} for media in one.media}
    if one.event is not None:
        content[EVENTS] = {"schema": schema(one.event)}
    streams = ": a whole one, or one after another in a stream" if EVENTS in content else ""
    return {"description": f"The answer{streams}.", "content": content}
