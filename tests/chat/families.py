"""Families by the names that tests call them."""

from __future__ import annotations

from typing import Any

from puna.chat import Family, Parser, family_named, family_of


def family(name: str, template: str = "") -> Family:
    """That of a PARSER; any other name means what is learned from `template`."""
    found = family_named(name)
    return found[0] if found else family_of("", template, "")


def special_tokens(name: str, template: str = "") -> frozenset[str]:
    return family(name, template).format.special


def parser_for(name: str, *, template: str = "", required: bool = False, **asked: Any) -> Parser:
    choice = "required" if required else "auto"
    prompt, last = asked.pop("prompt"), asked.pop("last")
    return family(name, template).exchange(prompt, last, choice=choice, **asked).parser()
