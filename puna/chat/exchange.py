"""One prompt and its answer, as a family writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from puna.errors import BadRequest
from puna.types import Grammar, Message

from .grammars import Constraint, functions
from .parsing import Expected, Format, FormatParser, Parser, Tools

ToolMode = Literal["auto", "none", "required"]
"""Whether an answer may call tools, must not, or must."""


class Exchange(NamedTuple):
    """What `Family.exchange` was asked."""

    format: Format
    constrain: Callable[[Constraint], Grammar | None]
    prompt: str
    last: Message | None
    tools: list[dict[str, Any]]
    choice: ToolMode
    name: str
    parallel: bool
    schema: dict[str, Any] | None
    think: bool | str | None

    @property
    def visible(self) -> frozenset[str]:
        """The control tokens that must be written out in the answer for its format to be seen."""
        return self.format.special

    @property
    def constrained(self) -> bool:
        """The answer may have a grammar."""
        return bool(self.tools) or self.schema is not None

    def parser(self) -> Parser:
        """Reads one answer. Without tools there are no calls: what looks like one is content."""
        return FormatParser(self.format, self._expected(self.think))

    def grammar(self) -> Grammar | None:
        """What constrains the answer; None when it is free. A large schema takes a second.

        A call is constrained to its tool's `parameters` from its marker on; reasoning is free. Raises
        BadRequest naming the field for a tool whose parameters are no schema of an object, for a name that
        no tool has and for a schema that no grammar can keep.
        """
        required = self.choice == "required"
        offered = functions(self.tools)
        if self.name and required:
            offered = [one for one in offered if one.name == self.name]
            if not offered:
                raise BadRequest(f'invalid tool_choice: there is no tool "{self.name}"', "tool_choice")
        expected = self._expected(False if self.think is None else self.think)
        constraint = Constraint(offered, required, self.parallel, self.schema, expected)
        try:
            grammar = self.constrain(constraint)
        except RecursionError:
            where, field = ("tools", "tools") if offered else ("format", "schema")
            raise BadRequest(f"invalid JSON schema in {where}: it is nested too deeply", field) from None
        # A grammar for calls that nobody demands may be given up; one that was asked for may not.
        return grammar and replace(grammar, strict=self.schema is not None or required)

    def _expected(self, think: bool | str | None) -> Expected:
        return Expected(Tools(self.tools), think, self.prompt, self.last, self.choice == "required")
