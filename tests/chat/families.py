"""Families by the names that tests call them."""

from __future__ import annotations

from typing import Any

from puna.chat import Exchange, Family, Parser, family_named, family_of


def family(name: str, template: str = "") -> Family:
    """That of a PARSER; any other name means what is learned from `template`."""
    found = family_named(name)
    return found[0] if found else family_of("", template, "")


def special_tokens(name: str, template: str = "") -> frozenset[str]:
    return family(name, template).format.special


def parser_for(name: str, *, template: str = "", **asked: Any) -> Parser:
    return Exchange(family(name, template), **asked).parser()
