"""All model families, one per file of this folder. docs/families.md shows how to add one."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from puna.chat.family import Family, Variant
from puna.chat.prompt import Template
from puna.errors import BadRequest

FAMILIES: tuple[Family, ...] = tuple(
    import_module(f"{__name__}.{found.name}").FAMILY for found in iter_modules(__path__)
)
_BY_NAME = {variant.name: (family, variant) for family in FAMILIES for variant in family.variants}


PLAIN = _BY_NAME["plain"][0]
"""Answers that are only content."""


def family_named(name: str) -> tuple[Family, Variant] | None:
    """The family and variant of a PARSER or RENDERER name."""
    return _BY_NAME.get(name)


def renderer(name: str, parameters: int = 0) -> Template:
    """The renderer that a Modelfile names, for a model with this many parameters.

    Raises BadRequest for an unknown name.
    """
    found = family_named(name)
    if found is None or found[1].renderer is None:
        raise BadRequest(f'unknown renderer "{name}"')
    large = found[1].large
    return large[1] if large and parameters >= large[0] else found[1].renderer


def names_by_architecture() -> dict[str, str]:
    """By GGUF architecture, the PARSER and RENDERER of models created without either."""
    return {one: variant.name for _, variant in _BY_NAME.values() for one in variant.architectures}
