"""One prompt and its answer, in a family's format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from puna.errors import BadRequest
from puna.types import Grammar, Message

from .grammars import Constraint, functions
from .parsing import Expected, Format, FormatParser, Parser, Tools

ToolMode = Literal["auto", "none", "required"]
"""Whether an answer may, must not, or must call tools."""


class Exchange(NamedTuple):
    """The arguments of `Family.exchange`, and the parser and grammar for them."""

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
        """The control tokens that the parser needs in the answer's text."""
        return self.format.special

    @property
    def constrained(self) -> bool:
        """Whether the answer may need a grammar."""
        return bool(self.tools) or self.schema is not None

    def parser(self) -> Parser:
        """Parses one answer. Without tools, anything that looks like a call is content."""
        return FormatParser(self.format, self._expected(self.think))

    def grammar(self) -> Grammar | None:
        """The grammar of the answer; None if it is unconstrained. A large schema takes a second.

        Calls are constrained to their tool's `parameters` after their marker; reasoning is not constrained.
        Raises BadRequest for parameters that are no object's schema, an unknown tool, or a schema that no
        grammar can express.
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
        # Optional calls may lose their grammar; a required call or a requested schema may not.
        return grammar and replace(grammar, strict=self.schema is not None or required)

    def _expected(self, think: bool | str | None) -> Expected:
        return Expected(Tools(self.tools), think, self.prompt, self.last, self.choice == "required")
