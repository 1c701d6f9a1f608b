"""What can be refused before a model is loaded, so that a wrong request unloads nobody's model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from puna.engine import check_grammar
from puna.inference.job import exchange_for, grammar_of
from puna.inference.media import Media
from puna.inference.prompts import drafted
from puna.inference.requests import ChatInput, GenerateInput
from puna.library import Model
from puna.types import Grammar


@dataclass
class Checked:
    """What of a request is known already."""

    grammar: Grammar | None = None
    media: Media = field(default_factory=Media)


async def check_ahead(request: ChatInput | GenerateInput, model: Model, checked: Checked) -> None:
    """Render, decode and constrain as far as that needs no engine. Raises what the request would end in."""
    draft = drafted(request, model)
    await checked.media.check(draft.images)
    checked.grammar = await grammar_of(exchange_for(request, model, draft))
    if checked.grammar is not None and checked.grammar.strict:
        await asyncio.to_thread(check_grammar, checked.grammar)
