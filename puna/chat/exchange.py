"""One prompt and its answer, in a family's format."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from msgspec.structs import replace

from puna.errors import BadRequest
from puna.types import Grammar, Message

from .family import Family
from .grammars import Constraint, functions
from .parsing import Expected, Parser, Tools


@dataclass(frozen=True)
class Exchange:
    """One prompt and its answer: the parser and the grammar."""

    family: Family
    prompt: str
    last: Message | None
    """The conversation's last message."""
    _: KW_ONLY
    tools: list[dict[str, Any]]
    required: bool = False
    """The answer must be a call, of the tool `name` if given."""
    name: str = ""
    parallel: bool = True
    """The answer may have several calls."""
    schema: dict[str, Any] | None = None
    """Content must fit it."""
    think: bool | str | None = None
    """None for a model that cannot think: the grammar allows no reasoning, but the parser recognises it."""

    @property
    def visible(self) -> frozenset[str]:
        """The control tokens that the parser needs in the answer's text."""
        return self.family.format.special

    @property
    def constrained(self) -> bool:
        """Whether the answer may need a grammar."""
        return bool(self.tools) or self.schema is not None

    def parser(self) -> Parser:
        """Parses one answer. Without tools, anything that looks like a call is content."""
        return Parser(self.family.format, self._expected(self.think))

    def grammar(self) -> Grammar | None:
        """The grammar of the answer; None if it is unconstrained. A large schema takes a second.

        Calls are constrained to their tool's `parameters` after their marker; reasoning is not constrained.
        Raises BadRequest for parameters that are no object's schema, an unknown tool, or a schema that no
        grammar can express.
        """
        offered = functions(self.tools)
        if self.name and self.required:
            offered = [one for one in offered if one.name == self.name]
            if not offered:
                raise BadRequest(f'invalid tool_choice: there is no tool "{self.name}"', "tool_choice")
        expected = self._expected(False if self.think is None else self.think)
        constraint = Constraint(offered, self.required, self.parallel, self.schema, expected)
        try:
            grammar = self.family.constrain(constraint)
        except RecursionError:
            where, field = ("tools", "tools") if offered else ("format", "schema")
            raise BadRequest(f"invalid JSON schema in {where}: it is nested too deeply", field) from None
        # Optional calls may lose their grammar; a required call or a requested schema may not.
        return grammar and replace(grammar, strict=self.schema is not None or self.required)

    def _expected(self, think: bool | str | None) -> Expected:
        return Expected(Tools(self.tools), think, self.prompt, self.last, self.required)
