"""The ASGI application: the rooms it opens, the routes it mounts, the layers around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from puna.engine import start
from puna.inference import Inference
from puna.library import Library
from puna.scheduling import Scheduler
from puna.server.access import Access
from puna.server.errors import HANDLERS
from puna.server.log import Log
from puna.server.native import routes
from puna.server.pulls import Pulls
from puna.server.rooms import Rooms
from puna.settings import Settings
from puna.types import PunaError

_log = logging.getLogger(__name__)


def application(settings: Settings) -> Starlette:
    """The server for these settings. Its lifespan prunes the library and, at the end, closes the engines."""
    library = Library(settings.models, no_prune=settings.no_prune)
    scheduler = Scheduler(settings, start)
    rooms = Rooms(library, scheduler, Inference(library, scheduler), Pulls(library))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # Neither is waited for: the server answers from the first moment.
        chores = asyncio.gather(rooms.inference.warm(), asyncio.to_thread(_prune, library))
        yield
        await rooms.close()
        await chores

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=[
            Middleware(Log),
            Middleware(Access, origins=settings.origins, host=settings.host),
        ],
    )
    app.state.rooms = rooms
    return app


def _prune(library: Library) -> None:
    try:
        library.prune()
    except PunaError as error:
        _log.warning("pruning the library: %s", error)
