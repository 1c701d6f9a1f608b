"""Several answers in one: none is lost, and none outlives the request."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from puna.errors import EngineGone
from puna.inference import Answer, Begun, Piece, Summary
from puna.server.openai.answers import collect, interleave

END = Summary(reason="stop")


class Speaker:
    """Makes answers and knows which are still open."""

    def __init__(self) -> None:
        self.open = 0
        self.said = 0

    async def answer(self, *texts: str, fails: bool = False) -> Answer:
        self.open += 1
        try:
            yield Begun(1, 0)
            for text in texts:
                await asyncio.sleep(0)
                self.said += 1
                yield Piece(text=text)
            if fails:
                raise EngineGone("it fell")
            yield END
        finally:
            self.open -= 1

    def long(self) -> Answer:
        """An answer that those that wait for its turn have to see the end of."""
        return self.answer(*["tick"] * 1000)


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_every_answer_is_whole_and_in_its_place(count: int):
    speaker = Speaker()
    told = await collect([speaker.answer(*f"answer {index}") for index in range(count)])
    assert [answer.piece.text for answer in told] == [f"answer {index}" for index in range(count)]
    assert [answer.end for answer in told] == [END] * count
    assert speaker.open == 0


@pytest.mark.parametrize("count", [0, 1, 50])
async def test_an_error_ends_every_answer(count: int):
    speaker = Speaker()
    answers = [speaker.long() for _ in range(count)]
    with pytest.raises(EngineGone, match="it fell"):
        await collect([*answers, speaker.answer("a", fails=True)])
    assert speaker.open == 0


@pytest.mark.parametrize("count", [1, 3, 50])
async def test_closing_ends_every_answer(count: int):
    speaker = Speaker()
    async with aclosing(interleave([speaker.long() for _ in range(count)])) as items:
        async for _ in items:
            break
    assert speaker.open == 0


async def test_who_does_not_read_slows_the_answers_down():
    speaker = Speaker()
    async with aclosing(interleave([speaker.long(), speaker.long()])) as items:
        await anext(items)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert speaker.said < 20
