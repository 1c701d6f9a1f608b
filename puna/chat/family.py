"""What a model family is: the one value that each file of `puna/chat/families` has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from puna.types import Grammar, Message

from .exchange import Exchange, ToolMode
from .grammars import Constraint
from .parsing import Format
from .renderers import Renderer


class EvidenceRank(IntEnum):
    """How surely texts in a template show a family: the lowest rank in a template decides."""

    OWN = 0
    """A marker of calls that only this family writes."""
    ADAPTED = 1
    """A marker like another family's, or what this one adds to it."""
    SHARED = 2
    """A marker of calls that many families write."""
    TURNS = 3
    """How turns are written; no call shows."""
    REASONING = 4
    """How reasoning is written; no call shows."""


@dataclass(frozen=True)
class Evidence:
    """Texts that show a family when all of them are in a chat template, Go's or Jinja's."""

    texts: tuple[str, ...]
    rank: EvidenceRank = EvidenceRank.OWN


@dataclass(frozen=True)
class Variant:
    """A name that a Modelfile's PARSER or RENDERER may give, and what models of that name can do."""

    name: str
    tools: bool = False
    """They call tools."""
    thinks: bool = False
    """They reason before they answer, or can be told to."""
    renderer: Renderer | None = None
    """Writes their prompts; None where their template is the only source."""
    architectures: tuple[str, ...] = ()
    """GGUF architectures that are created under this name when nobody names another (Ollama
    server/create.go)."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that write their answers in one format."""

    variants: tuple[Variant, ...]
    format: Format
    """Reads an answer."""
    constrain: Callable[[Constraint], Grammar | None]
    """Writes the grammar of an answer; what it admits is what `format` reads."""
    evidence: tuple[Evidence, ...] = ()
    """What in a template shows the family."""
    architectures: tuple[str, ...] = ()
    """GGUF architectures whose models are all of this family, whatever their template shows."""
    always_thinks: bool = False
    """Its models reason even where their template does not show it."""

    def exchange(
        self,
        prompt: str,
        last: Message | None,
        *,
        tools: list[dict[str, Any]],
        choice: ToolMode = "auto",
        name: str = "",
        parallel: bool = True,
        schema: dict[str, Any] | None = None,
        think: bool | str | None = None,
    ) -> Exchange:
        """How the answer to `prompt` is constrained and read; `last` is the conversation's last message.

        `choice` "required" demands a call, of the tool `name` if there is one; "none" forbids calls.
        `parallel` allows several. Content must fit `schema`. `think` is None for a model that cannot: no
        grammar has a place for its reasoning, yet reasoning that comes is read.
        """
        offered = tools if choice != "none" else []
        return Exchange(
            self.format, self.constrain, prompt, last, offered, choice, name, parallel, schema, think
        )
