"""Response headers that a middleware adds."""

from __future__ import annotations

from starlette.types import Message, Send


def with_headers(send: Send, *extra: tuple[bytes, bytes]) -> Send:
    """Wraps `send` to add the headers `extra` to the response."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return sending
