"""The tokens that a request costs whoever makes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from puna.access import caller
from puna.errors import EngineGone
from puna.types import Begun, Delta, Finish


async def metered(
    steps: AsyncGenerator[Begun | Delta | Finish, None],
) -> AsyncGenerator[Begun | Delta | Finish, None]:
    """The steps of an answer, whose tokens the caller spends, also when nobody waits for the end."""
    who, spent, answering = caller(), 0, False
    try:
        async with aclosing(steps):
            async for step in steps:
                if isinstance(step, Begun):
                    spent = step.prompt_tokens
                elif isinstance(step, Delta):
                    spent += step.tokens
                    answering = True
                else:
                    spent = step.prompt_tokens + step.eval_tokens
                yield step
    except EngineGone:
        # Nothing came of the prompt: it is evaluated again, or the request fails.
        spent *= answering
        raise
    finally:
        who.spend(spent)
