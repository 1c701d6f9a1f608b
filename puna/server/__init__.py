"""The HTTP application: one package for each dialect, framing (NDJSON, SSE), errors, access control.

`serve(settings)` runs it until a signal; `application(settings)` is the ASGI application for other servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from puna.server.serve import serve

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from puna.settings import Settings

__all__ = ["application", "serve"]


def application(settings: Settings) -> Starlette:
    """The server as an ASGI application."""
    from puna.server.app import application

    return application(settings)
