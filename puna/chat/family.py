"""The type of a model family. Each file of `puna/chat/families` defines one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from puna.types import Grammar, Message

from .grammars import Constraint
from .parsing import Format
from .renderers import Renderer


class EvidenceRank(IntEnum):
    """The strength of a text in a template as evidence for a family. The lowest rank wins."""

    OWN = 0
    """A call marker of only this family."""
    ADAPTED = 1
    """A call marker shared with another family, or this family's variation of one."""
    SHARED = 2
    """A call marker of many families."""
    TURNS = 3
    """Markers of turns, without evidence of calls."""
    REASONING = 4
    """Markers of reasoning, without evidence of calls."""


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
    """The models call tools."""
    thinks: bool = False
    """The models reason, always or on request."""
    renderer: Renderer | None = None
    """Writes prompts; None if only the model's template can."""
    large: tuple[int, Renderer] | None = None
    """A parameter count, and the renderer of models with at least that many parameters."""
    architectures: tuple[str, ...] = ()
    """GGUF architectures whose new models get this name by default (Ollama
    server/create.go)."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Models that share one answer format."""

    variants: tuple[Variant, ...]
    format: Format
    """Parses answers."""
    constrain: Callable[[Constraint], Grammar | None]
    """Writes the grammar of an answer. It must match `format`."""
    evidence: tuple[Evidence, ...] = ()
    """Texts in a template that identify the family."""
    architectures: tuple[str, ...] = ()
    """GGUF architectures that always belong to this family, whatever their template."""
    answer_text: Callable[[Message], str] | None = None
    """Writes an earlier answer with calls as text, for Jinja templates that omit calls."""
    always_thinks: bool = False
    """The models reason even if their template does not mention it."""
