"""Checks before a load, so that a wrong request evicts no model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from puna.engine import check_grammar
from puna.inference.job import exchange_for, grammar_of
from puna.inference.media import Media
from puna.inference.prompts import draft_prompt
from puna.inference.requests import ChatInput, GenerateInput
from puna.library import Model
from puna.types import Grammar


@dataclass
class Checked:
    """Results of the checks, which the request reuses."""

    grammar: Grammar | None = None
    media: Media = field(default_factory=Media)


async def check_ahead(request: ChatInput | GenerateInput, model: Model, checked: Checked) -> None:
    """Render, decode media and build the grammar, without an engine. Raises the errors of the request."""
    draft = await draft_prompt(request, model)
    await checked.media.check(draft.images)
    checked.grammar = await grammar_of(exchange_for(request, model, draft))
    if checked.grammar is not None and checked.grammar.strict:
        await asyncio.to_thread(check_grammar, checked.grammar)
