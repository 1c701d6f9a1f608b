"""What is sent to a client that has closed its side is ignored."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Departed:
    """ASGI middleware: a connection that closed before uvicorn heard of it is no error.

    uvicorn ignores what is sent once it knows; before that uvloop raises RuntimeError.
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
