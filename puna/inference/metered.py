"""Counts the tokens that a request costs its caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from puna.access import caller
from puna.errors import EngineGone
from puna.types import Begun, Delta, Finish


async def metered(
    steps: AsyncGenerator[Begun | Delta | Finish, None],
) -> AsyncGenerator[Begun | Delta | Finish, None]:
    """Pass on `steps`, and charge their tokens to the caller, also if the answer is cancelled."""
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
        # The prompt alone is not charged: it is evaluated again, or the request fails.
        spent *= answering
        raise
    finally:
        who.spend(spent)
