"""Lowers JSON Schema to the keywords that llguidance supports; expresses others through these.

Every value of the lowered schema fits the original. Where the two cannot be equal, it admits less. Objects
get no properties beyond the named ones, as in Ollama's grammars: any property would fit, and small models
would never stop adding them.
"""

from __future__ import annotations

from typing import Any

from puna.chat.grammars.formats import pattern_of
from puna.chat.schema import Schema, SchemaDocument, UnsupportedKeyword, final_target, invalid, own_kinds

from .alternatives import IN_PLACE, UNEVALUATED, Alternative, Alternatives, TooManyAlternatives
from .arrays import array
from .ending import ends, prune
from .merging import both, expressions, merge
from .numbers import number
from .objects import object_


def lower(schema: Schema) -> Any:
    """Lower a schema. Raises BadRequest naming an unsupported keyword, and for a schema that nothing fits."""
    try:
        return Lowering(schema).root()
    except TooManyAlternatives:
        raise invalid("it combines too many alternatives") from None


class Lowering:
    """The lowering of one document."""

    def __init__(self, schema: Schema) -> None:
        self._document = SchemaDocument(schema)
        self._targets = self._document.targets
        self._options = Alternatives(self._targets)
        self._definitions: dict[str, Any] = {}
        self._under_way: dict[tuple[int, ...], str] = {}

    def root(self) -> Any:
        found = self.located(self._document.root)
        if found is False:
            raise invalid("nothing fits it")
        found = {} if found is True else found
        found = {**found, "$defs": self._definitions} if self._definitions else found
        if not ends(found):
            raise invalid("nothing fits it")
        return prune(found)

    def located(self, schema: Any) -> Any:
        """The schema of a place in an instance."""
        if isinstance(schema, bool):
            return schema
        only = next(iter(schema)) if len(schema) == 1 else ""
        if only == "$ref":
            return self._referred(schema["$ref"])
        if only == "allOf" and len(schema["allOf"]) == 1:
            return self.located(schema["allOf"][0])
        if only in ("anyOf", "oneOf"):
            options = (
                schema[only] if only == "anyOf" else self._options.exclusive(schema["oneOf"], closed=True)
            )
            return _either([self.located(one) for one in options])
        # A schema made from the same schemas within itself refers to itself.
        key = tuple(map(id, schema["allOf"])) if only == "allOf" else (id(schema),)
        if key in self._under_way:
            name = self._under_way[key] = self._under_way[key] or f"within{len(self._definitions)}"
            self._definitions.setdefault(name, True)
            return {"$ref": f"#/$defs/{name}"}
        self._under_way[key] = ""
        try:
            alternatives = self._options.of(schema)
            found = _either([self._joined(alternative) for alternative in alternatives])
        except TooManyAlternatives:
            found = self._open(schema)
        if name := self._under_way.pop(key):
            self._definitions[name] = found
            return {"$ref": f"#/$defs/{name}"}
        return found

    def _referred(self, reference: str) -> Any:
        name = reference.rpartition("/")[2]
        if name not in self._definitions:
            target = final_target(reference, self._targets)
            if target is None:
                raise invalid("its $ref leads only to itself")
            self._definitions[name] = True
            self._definitions[name] = self.located(target)
        return {"$ref": reference}

    # Lowered schemas

    def _joined(self, alternative: Alternative, *, closed: bool = True) -> Any:
        """One alternative as a schema."""
        schema = merge(alternative) if alternative else {}
        if schema.get("type") == [] or schema.get("enum") == []:
            return False
        if not schema.keys() & {"type", "enum"}:
            schema |= _meant(schema)
        kinds = own_kinds(schema)
        result = {key: value for key, value in schema.items() if key not in _WRITTEN_SEPARATELY}
        further: list[Any] = []
        if "string" in kinds:
            result |= self._strings(schema, further)
        if kinds & {"integer", "number"}:
            result |= number(schema, kinds)
        if "object" in kinds:
            closes = closed and any(map(_names, alternative))
            found = object_(schema, self.located, self._options.expanded, further, closed=closes)
            if found is None:
                result["type"] = sorted(kinds - {"object"})
            result |= found or {}
        if "array" in kinds:
            result |= array(schema, self.located, self._options.expanded, self._options.negate, further)
        if result.get("type") == [] or result.get("enum") == []:
            return False
        if any(one is False for one in further):
            return False
        return {**result, "allOf": further} if further else result or True

    def _strings(self, schema: Schema, further: list[Any]) -> Schema:
        """Its patterns and formats; more than one of each become further schemas."""
        patterns: list[str] = []
        result: Schema = {}
        for pattern in schema.get("patterns", ()):
            patterns += expressions(pattern)
        for named in schema.get("formats", ()):
            kept, written = pattern_of(named)
            patterns += written
            if kept and "format" not in result:
                result["format"] = kept
            elif kept:
                further.append({**_typed(schema), "format": kept})
        if patterns:
            result["pattern"] = patterns[0]
            further += [{**_typed(schema), "pattern": one} for one in patterns[1:]]
        return result

    def _open(self, schema: Schema) -> Any:
        """A schema with too many combinations: its alternatives, not combined."""
        if self._options.number(schema) > _MOST_COMBINED:
            raise TooManyAlternatives
        for key in UNEVALUATED:
            if key in schema:
                raise UnsupportedKeyword(key, "it stands beside too many alternatives")
        plain = {key: value for key, value in schema.items() if key not in IN_PLACE}
        parts: list[Any] = [self._joined([plain], closed=False)] if plain else []
        for key in _COMBINING:
            if key in schema:
                options = (
                    self._options.exclusive(schema[key], closed=False) if key == "oneOf" else schema[key]
                )
                parts.append({"allOf" if key == "allOf" else "anyOf": [self._opened(one) for one in options]})
        rest = {key: one for key, one in schema.items() if key in IN_PLACE and key not in _COMBINING}
        if rest:
            parts.append(_either([self._joined(one, closed=False) for one in self._options.of(rest)]))
        return both(parts)

    def _opened(self, schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        return self._open(schema)


_MOST_COMBINED = 1000
"""Most combinations of alternatives in a grammar, because each costs time at every token."""

_COMBINING = ("allOf", "anyOf", "oneOf")

_MEANT = {
    "object": {
        "properties",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "required",
        "minProperties",
        "maxProperties",
    },
    "array": {"prefixItems", "items", "contains", "uniqueItems", "minItems", "maxItems"},
    "string": {"patterns", "formats", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}
"""Keywords of one type. A schema with one of them that lacks `type` most often means that type."""

_WRITTEN_SEPARATELY = {
    "patterns",
    "formats",
    "minContains",
    "maxContains",
    *_MEANT["object"],
    *_MEANT["array"],
}


def _names(part: Schema) -> bool:
    """Whether it describes an object's properties."""
    named = (*part.get("properties", {}).values(), *part.get("patternProperties", {}).values())
    return any(one is not False for one in named)


def _meant(schema: Schema) -> Schema:
    """The type that a schema without `type` means."""
    kind = next((kind for kind, keywords in _MEANT.items() if keywords & schema.keys()), "")
    return {"type": kind} if kind else {}


def _either(options: list[Any]) -> Any:
    options = [one for one in options if one is not False]
    if not options:
        return False
    if any(one is True or one == {} for one in options):
        return True
    return {"anyOf": options} if len(options) > 1 else options[0]


def _typed(schema: Schema) -> Schema:
    return {"type": schema["type"]} if "type" in schema else {}
