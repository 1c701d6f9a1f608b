"""The ASGI application: services, routes and middleware."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from starlette.applications import Starlette
from starlette.middleware import Middleware

from puna.access import Keyring
from puna.engine import EngineStarter, dry_run, find_devices
from puna.errors import PunaError
from puna.inference import Inference
from puna.library import DEFAULT_LIMITS, AllowedHosts, Library
from puna.scheduling import Scheduler
from puna.server import anthropic, health, metrics, native, openai, openapi, page, responses
from puna.server.authentication import Authentication, saving_usage
from puna.server.disconnect import IgnoreDisconnect
from puna.server.errors import HANDLERS
from puna.server.log import RequestLog
from puna.server.metrics import CountRequests, Metrics
from puna.server.origins import Origins, is_loopback
from puna.server.pulls import Pulls
from puna.server.recorder import RequestRecorder
from puna.server.remote import Remote
from puna.server.services import Services
from puna.server.slashes import CollapseSlashes, RedirectTrailingSlash
from puna.server.web import Web
from puna.settings import Settings

# OpenAI's mount last: it answers unknown paths under /v1 with its own errors.
ROUTES = [
    *native.routes,
    *health.routes,
    *metrics.routes,
    *anthropic.routes,
    *responses.routes,
    *openapi.routes,
    *page.routes,
    *openai.routes,
]

_log = logging.getLogger(__name__)


def application(settings: Settings) -> Starlette:
    """The server for these settings. Its lifespan prunes the library first, and closes the engines last.

    Raises PunaError when the keys file is malformed.
    """
    keyring = Keyring(settings.keys)
    exposed = not (settings.open or is_loopback(settings.host))
    library = Library(settings.models, no_prune=settings.no_prune)
    measured = Metrics()
    starter = EngineStarter(patience=settings.watchdog, standby=settings.standby)
    scheduler = Scheduler(
        settings, measured.measure_loads(starter.start), find_devices, starter.prepare, dry_run
    )
    remote = Remote(private=settings.fetch_private)
    services = Services(
        library,
        starter,
        scheduler,
        Inference(library, scheduler, measured, go_first=settings.go_template),
        Pulls(
            library,
            replace(DEFAULT_LIMITS, streams=settings.transfer_streams or DEFAULT_LIMITS.streams),
            AllowedHosts(settings.registries),
        ),
        remote,
        Web(remote, settings.search_url),
        keyring,
        settings.no_cloud,
    )
    measured.watch(scheduler)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # Not awaited, so that the server answers at once.
        scheduler.rest()
        chores = asyncio.gather(services.inference.warm(), asyncio.to_thread(_prune, library))
        async with saving_usage(keyring):
            yield
            await services.close()
        await chores

    app = Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        middleware=[
            Middleware(IgnoreDisconnect),
            Middleware(CollapseSlashes),
            Middleware(CountRequests, metrics=measured),
            Middleware(RequestLog),
            Middleware(Origins, origins=settings.origins, host=settings.host),
            Middleware(Authentication, keyring=keyring, exposed=exposed),
            *([Middleware(RequestRecorder)] if settings.log_requests else []),
            Middleware(RedirectTrailingSlash),
        ],
    )
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.metrics = measured
    return app


def _prune(library: Library) -> None:
    try:
        library.prune()
    except PunaError as error:
        _log.warning("pruning the library: %s", error)
