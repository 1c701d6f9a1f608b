"""Wrong methods of a path that stands before another dialect's mount."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send


class Only:
    """ASGI: refuses a method the path does not take. The mount behind it would say there is no such path.

    Route(path, endpoint, methods=["POST"]), Route(path, Only("POST"), include_in_schema=False)
    """

    def __init__(self, allowed: str) -> None:
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(405, headers={"Allow": self._allowed})
