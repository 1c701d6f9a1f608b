"""What an answer is held to: a JSON Schema for its content, the tools' own schemas for its calls.

What a grammar admits is what `puna.chat.parsing` reads: both know a family's notation by the same format.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from msgspec.structs import replace

from puna.chat.parsing import format_of
from puna.chat.parsing.families.glimmer import Glimmer
from puna.chat.parsing.families.harmony import Harmony
from puna.chat.parsing.stream import Format
from puna.chat.parsing.tagged import Asked, Tagged
from puna.chat.parsing.tools import Tools
from puna.types import BadRequest, Grammar, Message

from .answer import Held, tagged
from .families import notation_of
from .families.glimmer import glimmer
from .families.harmony import harmony
from .schemas import functions

__all__ = ["constraint"]


def constraint(
    family: str,
    *,
    tools: list[dict[str, Any]],
    choice: Literal["auto", "none", "required"],
    name: str,
    parallel: bool,
    schema: dict[str, Any] | None,
    think: bool | str | None,
    prompt: str,
    last: Message | None,
    template: str = "",
) -> Grammar | None:
    """What the answer to `prompt` is held to, or None when it is free.

    `schema` is for its content; reasoning is free. A call is held to the tool's `parameters` from its marker
    on. `choice` "required" makes it call: the tool `name` if there is one. `parallel` lets it call more than
    once. The other arguments are `parser_for`'s. Raises BadRequest naming the field for a tool whose
    parameters are no schema of an object and for a name that no tool has.
    """
    offered = functions(tools) if choice != "none" else []
    if name and choice == "required":
        offered = [one for one in offered if one.name == name]
        if not offered:
            raise BadRequest(f'invalid tool_choice: there is no tool "{name}"', "tool_choice")
    asked = Asked(Tools(tools if choice != "none" else []), think, prompt, last)
    held = Held(offered, choice == "required", parallel, schema, asked)
    try:
        grammar = _held_by(format_of(family, template), held)
        # Calls that nobody demands are worth having unheld, too.
        return grammar and replace(grammar, strict=schema is not None or held.required)
    except RecursionError:
        said, field = ("tools", "tools") if offered else ("format", "schema")
        raise BadRequest(f"invalid JSON schema in {said}: it is nested too deeply", field) from None


def _held_by(form: Format, held: Held) -> Grammar | None:
    if isinstance(form, Harmony):
        return harmony(held)
    if isinstance(form, Glimmer):
        return glimmer(held)
    assert isinstance(form, Tagged)
    known = notation_of(form)
    if known is None:
        return tagged(form, None, held._replace(functions=[], required=False))
    notation, names = known
    writable = [one for one in held.functions if re.fullmatch(names, one.name)]
    return tagged(
        form, notation, held._replace(functions=writable, required=held.required and bool(writable))
    )
