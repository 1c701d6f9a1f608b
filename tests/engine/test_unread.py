"""An answer that nobody reads ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from puna.engine import connection
from puna.errors import PunaError
from tests.engine.asking import ask, job, loaded
from tests.models import scripted_model


def test_an_answer_that_nobody_reads_is_ended_and_frees_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "_UNREAD", 50)
    scripted_model(tmp_path / "model.gguf", "on and ", endless=True)

    async def run() -> None:
        async with loaded(tmp_path / "model.gguf", parallel=1) as engine:
            unread = engine.generate(job("go", num_predict=1 << 30))
            await anext(unread)
            # There is one place: that this answer comes shows that the other one has ended.
            assert (await asyncio.wait_for(ask(engine, "go", num_predict=5), 120)).text
            assert len([event async for event in unread]) <= 50

    with pytest.raises(PunaError, match="not read"):
        asyncio.run(run())
