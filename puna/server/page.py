"""The page at /ui. Its files' paths contain a hash of all files, so browsers may cache them for ever."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from puna.web import FILES, FIRST, PAGE

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".bcmap": "application/octet-stream",
}
_SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class _Packed(NamedTuple):
    plain: bytes
    zipped: bytes
    etag: str
    media_type: str


async def page(request: Request) -> Response:
    """The page. Browsers revalidate it each time."""
    return _answer(request, _page(), "no-cache")


async def file(request: Request) -> Response:
    """A script or a style. Other versions get 404, because an old page must not mix with new files."""
    name = request.path_params["name"]
    if request.path_params["version"] != _version() or name not in FILES:
        return PlainTextResponse("404 page not found", 404)
    return _answer(request, _file(name), "public, max-age=31536000, immutable")


def prefers_page(accept: str) -> bool:
    """Whether an Accept header names text/html, and no other type before or above it (RFC 9110, 12.5.1)."""
    best, weight = "", 0.0
    for entry in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in entry.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            wanted = float(quality)
        except ValueError:
            continue
        if wanted > weight:
            best, weight = kind, wanted
    return best == "text/html"


def _answer(request: Request, packed: _Packed, keep: str) -> Response:
    headers = _SAFE | {"etag": packed.etag, "cache-control": keep, "vary": "Accept-Encoding"}
    if packed.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(packed.zipped, headers=headers, media_type=packed.media_type)
    return Response(packed.plain, headers=headers, media_type=packed.media_type)


def _pack(content: bytes, suffix: str) -> _Packed:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _Packed(content, gzip.compress(content, 9, mtime=0), etag, _TYPES[suffix])


@cache
def _version() -> str:
    digest = hashlib.sha256()
    for name, path in FILES.items():
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _page() -> _Packed:
    links = "\n".join(f'<link rel="modulepreload" href="/ui/@VERSION@/{name}">' for name in FIRST)
    text = PAGE.read_text(encoding="utf-8").replace("@MODULES@", links).replace("@VERSION@", _version())
    return _pack(text.encode(), ".html")


@cache
def _file(name: str) -> _Packed:
    return _pack(FILES[name].read_bytes(), FILES[name].suffix)


routes = [Route("/ui", page), Route("/ui/{version}/{name:path}", file, include_in_schema=False)]
