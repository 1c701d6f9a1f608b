"""Sending to a client that has disconnected is not an error."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class IgnoreDisconnect:
    """ASGI middleware: ignores sends to a closed connection.

    uvicorn ignores them, too, but only once it has noticed; until then uvloop raises RuntimeError.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            try:
                await send(message)
            except RuntimeError as error:
                if "closed" not in str(error):
                    raise

        await self._app(scope, receive, sending)
