"""A model's answer to content, reasoning and tool calls: pure, in any chunking, each character read once.

`parser_for` makes a `Parser` for one answer; `family_of` says of which family a model's answers are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from puna.types import Message

from .detect import can_call_tools, can_think, family_of
from .families import FAMILIES
from .families.generic import generic, notation
from .named import named_abilities
from .parts import Called, Content, Parser, Part, Thinking
from .slips import SLIPS
from .stream import Format, Stream
from .tagged import Asked
from .tools import Tools

__all__ = [
    "Called",
    "Content",
    "Parser",
    "Part",
    "Thinking",
    "can_call_tools",
    "can_think",
    "family_of",
    "named_abilities",
    "parser_for",
    "special_tokens",
]


def parser_for(
    family: str,
    *,
    tools: list[dict[str, Any]],
    think: bool | str | None,
    prompt: str,
    last: Message | None,
    required: bool = False,
    template: str = "",
) -> Parser:
    """A parser for the answer to `prompt`, whose last message is `last`.

    Without `tools` there are no calls: what looks like one is content. With `required` the answer is one:
    of what a cut leaves, nothing is content. `template` is the model's Go template, which the family
    "generic" learns its marker and tags from.
    """
    return Stream(format_of(family, template), Asked(Tools(tools), think, prompt, last, required))


def special_tokens(family: str, template: str = "") -> frozenset[str]:
    """The control tokens that must be written out in answers for the family's format to be seen."""
    return format_of(family, template).special


def format_of(family: str, template: str) -> Format:
    """How models of this family write; `template` is what "generic" is learnt from."""
    return FAMILIES.get(family) or _generic(template)


@lru_cache(maxsize=64)
def _generic(template: str) -> Format:
    form = generic(notation(template))
    # Of a template in Jinja nothing is learnt.
    return replace(form, slips=SLIPS) if "{%" in template else form
