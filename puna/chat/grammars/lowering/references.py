"""JSON Schemas of every draft in one form: keywords checked, old spellings made new, references found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from puna.chat.grammars.keywords import TYPES, Schema
from puna.errors import BadRequest

_MAPS = ("properties", "patternProperties", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_DEFINITIONS = ("$defs", "definitions")
_SIZES = tuple(
    f"{end}{what}" for end in ("min", "max") for what in ("Contains", "Items", "Length", "Properties")
)
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class SchemaDocument:
    """A schema and what its references lead to.

    `root` and `targets` are in one form: of draft 2020-12's keywords those that constrain an instance to
    something, with values of the right kind, and every reference a name in `targets`.
    """

    def __init__(self, schema: Any) -> None:
        """Raises BadRequest naming the keyword that is wrong."""
        self._index = _Index(schema)
        self._names: dict[int, str] = {}
        self.targets: dict[str, Any] = {}
        self.root = self._read(schema)

    def _read(self, schema: Any) -> Any:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise invalid(f"a schema must be an object or a boolean, not {schema!r:.40}")
        result: Schema = {}
        for key, value in schema.items():
            if key in _REFERENCES:
                _checked(key, value, isinstance(value, str), "a text")
                reference = "#" if key == "$recursiveRef" else value
                result.setdefault("$ref", self._name(reference, schema, key))
            elif key in _MAPS:
                _checked(key, value, isinstance(value, dict), "an object")
                result[key] = {name: self._read(one) for name, one in value.items()}
            elif key == "prefixItems" and isinstance(value, dict):
                # llama.cpp takes one schema for all items here.
                result.setdefault("items", self._read(value))
            elif key in _LISTS or (key == "items" and isinstance(value, list)):
                filled = isinstance(value, list) and (bool(value) or key == "items")
                _checked(key, value, filled, "a list of schemas")
                result["prefixItems" if key == "items" else key] = [self._read(one) for one in value]
            elif key == "dependencies":
                _checked(key, value, isinstance(value, dict), "an object")
                for name, one in value.items():
                    if isinstance(one, list):
                        names = _checked(key, one, _are_texts(one), "an object of schemas or lists of names")
                        result.setdefault("dependentRequired", {})[name] = names
                    else:
                        result.setdefault("dependentSchemas", {})[name] = self._read(one)
            elif key in _SINGLE:
                result[key] = self._read(value)
            elif key in _CHECKED:
                holds, wanted = _CHECKED[key]
                _checked(key, value, holds(value), wanted)
                result[key] = int(value) if key in _SIZES else value
        if isinstance(schema.get("items"), list):
            result.pop("items", None)
            if "additionalItems" in schema:
                result["items"] = self._read(schema["additionalItems"])
        for bound in ("Minimum", "Maximum"):
            # Draft 4 says with a boolean that the other bound is exclusive.
            if isinstance(exclusive := result.get(f"exclusive{bound}"), bool):
                del result[f"exclusive{bound}"]
                if exclusive and bound.lower() in result:
                    result[f"exclusive{bound}"] = result[bound.lower()]
        return result

    def _name(self, reference: str, within: Schema, key: str) -> str:
        if key == "$dynamicRef" and self._index.ambiguous(reference):
            raise UnsupportedKeyword("$dynamicRef", f'several places have the name "{reference}"')
        found, target = self._index.target(reference, within)
        if not found:
            raise invalid(f'{key} "{reference}" leads nowhere')
        name = self._names.get(id(target))
        if name is None:
            name = self._names[id(target)] = str(len(self._names))
            self.targets[name] = self._read(target)
        return name


class _Index:
    """The places of a schema that references name: by `$id`, by anchor."""

    def __init__(self, root: Any) -> None:
        self._places: dict[str, Any] = {}
        self._bases: dict[int, str] = {}
        self._dynamic: dict[str, Any] = {}
        self._root = root
        self._add(root, "")

    def ambiguous(self, reference: str) -> bool:
        """Whether it depends on the instance where a dynamic reference leads."""
        return self._dynamic.get(_split("", reference)[1], 0) is None

    def target(self, reference: str, within: Schema) -> tuple[bool, Any]:
        """Whether there is such a place, and its schema."""
        base = self._bases.get(id(within), "")
        uri, fragment = _split(base, reference)
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            place = self._places.get(f"{uri}#{fragment}", self._dynamic.get(fragment) if not uri else None)
            return place is not None, place
        place = self._places.get(uri, self._root if not uri else None)
        for step in fragment.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, list):
                place = dict(zip(map(str, range(len(place))), place, strict=True)).get(step)
            else:
                place = place.get(step) if isinstance(place, dict) else None
        return isinstance(place, (dict, bool)), place

    def _add(self, schema: Any, base: str) -> None:
        if not isinstance(schema, dict):
            return
        if isinstance(name := schema.get("$id", schema.get("id")), str):
            uri, fragment = _split(base, name)
            if fragment:
                self._places.setdefault(f"{base}#{fragment}", schema)
            else:
                base = uri
            self._places.setdefault(uri, schema)
        self._bases[id(schema)] = base
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := schema.get(key), str):
                self._places.setdefault(f"{base}#{name}", schema)
                self._dynamic[name] = None if name in self._dynamic else schema
        for part in _parts(schema):
            self._add(part, base)


def _parts(schema: Schema) -> Iterator[Any]:
    for key, value in schema.items():
        if key in (*_MAPS, *_DEFINITIONS, "dependencies") and isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list) and key in (*_LISTS, "items"):
            yield from value
        elif key in (*_SINGLE, "additionalItems"):
            yield value


def _split(base: str, reference: str) -> tuple[str, str]:
    """A reference as a whole URI without its fragment, and the fragment. Raises BadRequest."""
    try:
        found = urldefrag(urljoin(base, reference) if base else reference)
    except ValueError as error:
        raise invalid(f'"{reference:.80}" is no URI: {error}') from None
    return found.url, found.fragment


class UnsupportedKeyword(BadRequest):
    """No grammar can keep what `keyword` says here."""

    def __init__(self, keyword: str, why: str) -> None:
        super().__init__(f"invalid JSON schema in format: {keyword} cannot be kept: {why}", "schema")
        self.keyword = keyword


def invalid(problem: str) -> BadRequest:
    return BadRequest(f"invalid JSON schema in format: {problem}", "schema")


def _checked(key: str, value: Any, right: bool, wanted: str) -> Any:
    if not right:
        raise invalid(f"{key} must be {wanted}, not {value!r:.40}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_types(value: Any) -> bool:
    return (
        value in TYPES
        if isinstance(value, str)
        else _are_texts(value) and bool(value) and TYPES.issuperset(value)
    )


_CHECKED: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_SIZES, (_is_size, "a whole number from 0 on")),
    **dict.fromkeys(_NUMBERS, (_is_number, "a number")),
    **dict.fromkeys(
        ("exclusiveMinimum", "exclusiveMaximum"),
        (lambda value: isinstance(value, bool) or _is_number(value), "a number"),
    ),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "type": (_are_types, f"one or several of {', '.join(sorted(TYPES))}"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "const": (lambda value: True, ""),
    "required": (_are_texts, "a list of names"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_are_texts, value.values())),
        "an object of lists of names",
    ),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    **dict.fromkeys(("pattern", "format"), (lambda value: isinstance(value, str), "a text")),
}
"""What a keyword's value must be."""
