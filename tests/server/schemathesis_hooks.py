"""What schemathesis cannot know: which models there are. Loaded by its command line."""

from __future__ import annotations

from typing import Any

import schemathesis  # pyright: ignore[reportMissingImports]

_MODELS = {"/api/embed": "vectors", "/api/embeddings": "vectors", "/v1/embeddings": "vectors"}
_KEPT = ("/api/delete",)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A model that exists, where any was named: else every answer would be 404."""
    path = context.operation.path
    if isinstance(body, dict) and isinstance(body.get("model"), str) and body["model"] and path not in _KEPT:
        body["model"] = _MODELS.get(path, "vectors" if path.endswith("rerank") else "talker")
        if type(body.get("keep_alive")) in (int, float):
            body["keep_alive"] = 60  # 0 would load the model anew for each request.
    return body
