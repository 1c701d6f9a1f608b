"""The type of a model family: each file of `puna/chat/families` has one value of it."""

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
    """How strong a text in a template is as evidence for a family: the lowest rank decides."""

    OWN = 0
    """A marker of calls that only this family writes."""
    ADAPTED = 1
    """A marker that another family shares, or this family's addition to one."""
    SHARED = 2
    """A marker of calls that many families write."""
    TURNS = 3
    """The format of turns; no call shows."""
    REASONING = 4
    """The format of reasoning; no call shows."""


@dataclass(frozen=True)
class Evidence:
    """Texts that identify a family when a chat template, Go or Jinja, has all of them."""

    texts: tuple[str, ...]
    rank: EvidenceRank = EvidenceRank.OWN


@dataclass(frozen=True)
class Variant:
    """A name for a Modelfile's PARSER or RENDERER, and the capabilities of models with it."""

    name: str
    tools: bool = False
    """They call tools."""
    thinks: bool = False
    """They reason before they answer, or can be asked to."""
    renderer: Renderer | None = None
    """Writes their prompts; None if only their template can."""
    large: tuple[int, Renderer] | None = None
    """A number of parameters, and the renderer of models with that many or more."""
    architectures: tuple[str, ...] = ()
    """GGUF architectures whose new models get this name by default (Ollama
    server/create.go)."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that share one answer format."""

    variants: tuple[Variant, ...]
    format: Format
    """Parses an answer."""
    constrain: Callable[[Constraint], Grammar | None]
    """Writes the grammar of an answer, which must match what `format` parses."""
    evidence: tuple[Evidence, ...] = ()
    """Texts in a template that show the family."""
    architectures: tuple[str, ...] = ()
    """GGUF architectures that are always of this family, regardless of their template."""
    always_thinks: bool = False
    """Its models reason even if their template does not show it."""

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
        """How to constrain and parse the answer to `prompt`; `last` is the conversation's last message.

        `choice` "required" forces a call, of the tool `name` if given; "none" forbids calls. `parallel`
        allows several. Content must fit `schema`. `think` is None for a model that cannot think: no grammar
        allows reasoning then, but reasoning in the answer is still parsed.
        """
        offered = tools if choice != "none" else []
        return Exchange(
            self.format, self.constrain, prompt, last, offered, choice, name, parallel, schema, think
        )
