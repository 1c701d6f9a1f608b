"""The official client, with what the command line needs and the client does not show."""

from __future__ import annotations

from typing import Any

import ollama


class Client(ollama.Client):
    def details(self, model: str, *, verbose: bool = False) -> dict[str, Any]:
        """`/api/show` whole: the client's own `show` drops `system` and `tensors`. Raises ResponseError."""
        asked = {"model": model, "verbose": True} if verbose else {"model": model}
        return self._request_raw("POST", "/api/show", json=asked).json()
