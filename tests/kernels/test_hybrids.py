"""Answers of hybrid models have the same bits with drafts, whatever is asked, and so have the next ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Quantisation
from hypothesis import given
from hypothesis import strategies as st

from puna.engine import kernels
from puna.engine.libllama import quantize
from puna.kernels import build, library
from puna.types import Job
from tests.engine.asking import job
from tests.engine.looped import FEW, NOTHING, PROMPTS, Asked, jobs
from tests.hybrid_models import DeltaNet, delta_model, mamba2_model
from tests.models import hybrid_model

SHAPE: dict[str, Any] = {"width": 256, "ffn": 512, "heads": 4, "kv_heads": 2}
MAKES: dict[str, Callable[..., None]] = {
    "lfm2": partial(hybrid_model, **SHAPE),
    "qwen35": partial(delta_model, net=DeltaNet(state=32, keys=4, values=8), head_size=64, **SHAPE),
    "nemotron_h": partial(mamba2_model, state=32, ssm_heads=8, **SHAPE),
}


@pytest.fixture(scope="module", params=MAKES)
def hybrid(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    assert library() is not None or not build()
    assert "attention" in kernels()
    folder = tmp_path_factory.mktemp("hybrids")
    MAKES[request.param](folder / "whole.gguf", quantisation=Quantisation.F16)
    quantize(str(folder / "whole.gguf"), str(folder / "m.gguf"), "Q8_0", threads=2, notice=lambda text: None)
    asked = Asked(folder / "m.gguf", rollback=7)
    yield asked
    asked.close()


@FEW
@given(asked=st.lists(jobs(), min_size=1, max_size=2), after=PROMPTS, seed=st.integers(0, 99))
def test_answers_are_those_without_drafts(
    hybrid: Asked, eager: None, asked: list[Job], after: list[int], seed: int
) -> None:
    hybrid.begin()
    plain = [hybrid.answers([one], NOTHING)[0] for one in asked]
    # What they have left in memory serves the next prompt as well.
    turns = [job(outcome[-1][-1] + after, num_predict=8, logprobs=1) for outcome in plain]
    next_plain = [hybrid.answers([turn], NOTHING)[0] for turn in turns]
    hybrid.begin()
    for one, outcome in zip(asked, plain, strict=True):
        known = outcome[-1][-1][-outcome[-1][1] :]
        assert hybrid.answers([one], [known], seed=seed) == [outcome]
    for turn, outcome in zip(turns, next_plain, strict=True):
        (drafted,) = hybrid.answers([turn], [outcome[-1][-1][-8:]], seed=seed)
        # Snapshots lie elsewhere, so more or less of the prompt is evaluated.
        assert drafted[:2] == outcome[:2]
        assert drafted[-1][-1] == outcome[-1][-1]
