"""The same question in every dialect, and where each tells of an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

MESSAGES = [{"role": "user", "content": "Go"}]


@dataclass(frozen=True)
class Dialect:
    """`body(model, most)` asks for at most so many tokens."""

    path: str
    body: Callable[[str, int], Body]
    named: bool = False
    """Errors are objects with a message and a type."""

    def asked(self, model: str, most: int, *, stream: bool) -> Body:
        return {"model": model, "stream": stream, **self.body(model, most)}

    def error(self, told: Body) -> str:
        """The message of an error. It is one: what stands around it is checked, too."""
        if not self.named:
            assert set(told) == {"error"}
            return told["error"]
        if told.get("type") == "response.failed":
            return told["response"]["error"]["message"]
        if told.get("type") == "error" and "error" not in told:
            return told["message"]
        assert told["error"]["type"]
        return told["error"]["message"]


DIALECTS = {
    "chat": Dialect(
        "/api/chat", lambda model, most: {"messages": MESSAGES, "options": {"num_predict": most}}
    ),
    "generate": Dialect(
        "/api/generate", lambda model, most: {"prompt": "Go", "options": {"num_predict": most}}
    ),
    "openai": Dialect(
        "/v1/chat/completions", lambda model, most: {"messages": MESSAGES, "max_tokens": most}, named=True
    ),
    "completions": Dialect(
        "/v1/completions", lambda model, most: {"prompt": "Go", "max_tokens": most}, named=True
    ),
    "responses": Dialect(
        "/v1/responses", lambda model, most: {"input": "Go", "max_output_tokens": most}, named=True
    ),
    "anthropic": Dialect(
        "/v1/messages", lambda model, most: {"messages": MESSAGES, "max_tokens": most}, named=True
    ),
}


def objects(text: str) -> list[Body]:
    """The JSON objects of a stream, whichever way it is framed."""
    lines = [line.removeprefix("data: ") for line in text.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]
