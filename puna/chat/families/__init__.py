"""Every model family, one a file, found by looking into this folder. docs/families.md says how to add one."""

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
"""Answers that are content and nothing else."""


def named(name: str) -> tuple[Family, Variant] | None:
    """The family and the variant that a PARSER or a RENDERER of this name means."""
    return _BY_NAME.get(name)


def renderer(name: str) -> Template:
    """The renderer that a Modelfile names. Raises BadRequest for a name that is none."""
    found = named(name)
    if found is None or found[1].renderer is None:
        raise BadRequest(f'unknown renderer "{name}"')
    return found[1].renderer


def names_by_architecture() -> dict[str, str]:
    """For each GGUF architecture that has one: the PARSER and RENDERER of a model made without either."""
    return {one: variant.name for _, variant in _BY_NAME.values() for one in variant.architectures}
