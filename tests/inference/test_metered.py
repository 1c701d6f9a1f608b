"""What an answer costs the key that asked for it, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

from puna.access import Keyring, add_key, new_key
from puna.errors import EngineGone
from puna.inference.metered import metered
from puna.types import Begun, Delta, Finish

Step = Begun | Delta | Finish
PROMPT = Begun(prompt_tokens=100, cached_tokens=40)
PIECE = Delta("ab", 2)
END = Finish(
    reason="stop", prompt_tokens=100, cached_tokens=40, prompt_ns=1, eval_tokens=5, eval_ns=1, tokens=[]
)
GONE = EngineGone("the engine process was ended by SIGKILL")


async def steps(given: list[Step | Exception]) -> AsyncGenerator[Step, None]:
    for step in given:
        if isinstance(step, Exception):
            raise step
        yield step


def spent(keys: Path, given: list[Step | Exception], read: int) -> int:
    """Tokens that count when the client reads so many steps and then goes away."""
    key, _ = new_key("ann")
    add_key(keys, key)
    ring = Keyring(keys)

    async def run() -> None:
        async with aclosing(metered(steps(given))) as metering:
            for _ in range(read):
                await anext(metering)

    with ring.admit(key), suppress(EngineGone):
        asyncio.run(run())
    ((_, used),) = ring.keys_and_usage()
    return used.tokens


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ([PROMPT, PIECE, PIECE, END], 105),  # a stop string's tokens are in no piece
        ([PROMPT, PIECE, GONE], 102),
        ([PROMPT, GONE], 0),  # evaluated again, and counted then
        ([GONE], 0),
    ],
)
def test_an_answer_costs_what_was_evaluated_for_it(
    tmp_path: Path, given: list[Step | Exception], tokens: int
):
    assert spent(tmp_path / "keys.json", given, len(given)) == tokens


@pytest.mark.parametrize(("read", "tokens"), [(1, 100), (2, 102), (3, 104)])
def test_an_answer_given_up_costs_what_had_come(tmp_path: Path, read: int, tokens: int):
    assert spent(tmp_path / "keys.json", [PROMPT, PIECE, PIECE, END], read) == tokens
