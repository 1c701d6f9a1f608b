"""405 for paths that are routed before another dialect's mount."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send


class Only:
    """ASGI: answers 405 where a later mount would answer 404.

    Route(path, endpoint, methods=["POST"]), Route(path, Only("POST"), include_in_schema=False)
    """

    def __init__(self, allowed: str) -> None:
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(405, headers={"Allow": self._allowed})
