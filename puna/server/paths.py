"""The paths of an application, as templates: /api/blobs/{digest}."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from starlette.routing import BaseRoute, Mount, Route, compile_path


@dataclass(frozen=True)
class Path:
    """A path and its methods. `pattern` matches the whole path of a request."""

    template: str
    pattern: re.Pattern[str]
    methods: frozenset[str]


def paths(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[Path]:
    """The paths of `routes`, including mounts. A path occurs once for each of its routes.

    Skips routes that are not in the schema.
    """
    for route in routes:
        if isinstance(route, Mount):
            yield from paths(route.routes, prefix + route.path)
        elif isinstance(route, Route) and route.include_in_schema:
            pattern, template, _ = compile_path(prefix + route.path)
            yield Path(template, pattern, frozenset(route.methods or ()))
