"""Binds the address and runs the application until a signal."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from puna import __version__
from puna.errors import PunaError
from puna.server.log_format import begin_log
from puna.server.origins import is_loopback
from puna.settings import Settings

if TYPE_CHECKING:
    from uvicorn import Server

_log = logging.getLogger(__name__)

_LAST_LINES = 5
"""Seconds for open streams to send their last line after the engines are closed."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then finish requests and close the engines.

    A second signal does not wait. Exits with 1 when it cannot bind.
    """
    begin_log(settings.log_level, json=settings.log_json)
    listener = _bind(settings.host, settings.port)
    # uvicorn raises the signal again after shutdown; this makes that a clean exit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        server = _server(settings)
    except PunaError as error:
        sys.exit(f"Error: {error}")
    listener.listen(2048)
    for line in exposure(settings):
        _log.warning(line)
    secure = " with TLS" if settings.tls_certificate else ""
    _log.info("Listening on %s%s (version %s)", _address(listener), secure, __version__)
    server.run(sockets=[listener])


def exposure(settings: Settings) -> list[str]:
    """Warnings if other machines reach the server and it requires no key."""
    if is_loopback(settings.host) or settings.keys.exists():
        return []
    shut = "Because of PUNA_OPEN, they may also pull, create, copy, push and delete models."
    if not settings.open:
        shut = "Nobody may pull, create, copy, push or delete models; PUNA_OPEN=1 would let everybody."
    return [
        "Other machines reach this server, and it asks for no key: they all may use its models.",
        shut,
        "To ask for keys: puna keys create NAME --scope infer --scope manage "
        f"(in a container: docker exec CONTAINER puna keys create …). They are kept in {settings.keys}.",
    ]


def _bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not yet listening. Exits with the reason on failure."""
    try:
        both = not host and socket.has_dualstack_ipv6()
        family, kind, protocol, _, address = socket.getaddrinfo(
            "::" if both else host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if both:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        shown = f"[{host}]" if ":" in host else host
        reason = (error.strerror or str(error)).lower()
        sys.exit(f"Error: listen tcp {shown}:{port}: bind: {reason}")
    return listener


def _server(settings: Settings) -> Server:
    import uvicorn

    from puna.server.app import application
    from puna.server.drain import DrainingServer
    from puna.server.protocol import Protocol
    from puna.server.tls import Certificates

    app = application(settings)
    tls: dict[str, Any] = {}
    if settings.tls_certificate:
        context = Certificates(settings.tls_certificate, settings.tls_key).context()
        tls["ssl_context_factory"] = lambda *_: context
    return DrainingServer(
        uvicorn.Config(
            app,
            http=Protocol,
            lifespan="on",
            ws="none",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=_LAST_LINES,
            **tls,
        ),
        app.state.services,
        settings.drain,
    )


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _leave(*_: object) -> NoReturn:
    sys.exit(0)
