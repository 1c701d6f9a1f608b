"""Resolves references within a schema: pointers (RFC 6901), anchors and `$id`s."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from puna.errors import BadRequest

from .errors import invalid
from .keywords import DEFINITIONS, LISTS, MAPS, SINGLE, Schema


class References:
    """The schemas that references within `root` can name, by URI, anchor and pointer."""

    def __init__(self, root: Any, *, lenient: bool = False) -> None:
        """Raises BadRequest for an `$id` that is no URI; `lenient` ignores it."""
        self._lenient = lenient
        self._by_uri: dict[str, Any] = {}
        self._bases: dict[int, str] = {}
        self._dynamic: dict[str, Any] = {}
        self._root = root
        self._add(root, "")

    def ambiguous(self, reference: str) -> bool:
        """Whether the target of a dynamic reference depends on the instance."""
        return self._dynamic.get(_split("", reference)[1], 0) is None

    def target(self, reference: str, within: Schema) -> tuple[bool, Any]:
        """Whether the target exists, and its schema."""
        base = self._bases.get(id(within), "")
        uri, fragment = _split(base, reference)
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            found = self._by_uri.get(f"{uri}#{fragment}", self._dynamic.get(fragment) if not uri else None)
            return found is not None, found
        found = self._by_uri.get(uri, self._root if not uri else None)
        for step in fragment.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = dict(zip(map(str, range(len(found))), found, strict=True)).get(step)
            else:
                found = found.get(step) if isinstance(found, dict) else None
        return isinstance(found, (dict, bool)), found

    def _add(self, schema: Any, base: str) -> None:
        if not isinstance(schema, dict):
            return
        if isinstance(name := schema.get("$id", schema.get("id")), str):
            base = self._identify(schema, name, base)
        self._bases[id(schema)] = base
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := schema.get(key), str):
                self._by_uri.setdefault(f"{base}#{name}", schema)
                self._dynamic[name] = None if name in self._dynamic else schema
        for part in _parts(schema):
            self._add(part, base)

    def _identify(self, schema: Schema, name: str, base: str) -> str:
        """The base URI inside a schema called `name`."""
        try:
            uri, fragment = _split(base, name)
        except BadRequest:
            if self._lenient:
                return base
            raise
        self._by_uri.setdefault(f"{base}#{fragment}" if fragment else uri, schema)
        return base if fragment else uri


def _parts(schema: Schema) -> Iterator[Any]:
    for key, value in schema.items():
        if key in (*MAPS, *DEFINITIONS, "dependencies") and isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list) and key in (*LISTS, "items"):
            yield from value
        elif key in (*SINGLE, "additionalItems"):
            yield value


def _split(base: str, reference: str) -> tuple[str, str]:
    """A reference as a full URI without its fragment, and the fragment. Raises BadRequest."""
    try:
        found = urldefrag(urljoin(base, reference) if base else reference)
    except ValueError as error:
        raise invalid(f'"{reference:.80}" is no URI: {error}') from None
    return found.url, found.fragment
