"""Headers that a layer adds to whatever is answered behind it."""

from __future__ import annotations

from starlette.types import Message, Send


def with_headers(send: Send, *extra: tuple[bytes, bytes]) -> Send:
    """`send`, which adds `extra` to the answer's headers."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return sending
