"""The same text again, through a real server: to the last bit, whatever the server did or does besides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gguf import GGMLQuantizationType as Quantisation

from puna.engine import kernels
from puna.engine.libllama import quantize
from puna.kernels import build, library
from tests.models import install, shape_model
from tests.running import Server, serving

PASSAGE = "The river rose in spring, and the ferryman counted boats, stones and herons until it fell again. "
PROMPT = PASSAGE * 4
LENGTH = 48
WAYS = {
    "greedy": {"temperature": 0},
    "seeded": {"seed": 7, "temperature": 0.8},
    "seeded, of many": {"seed": 8, "temperature": 1.5, "top_k": 0, "top_p": 1, "min_p": 0},
}


def stored(folder: Path, kind: str) -> None:
    """A model with random weights, in the store."""
    whole, path = folder / "whole.gguf", folder / "model.gguf"
    shape_model(whole, width=256, ffn=512, heads=4, kv_heads=2, quantisation=Quantisation.F16)
    quantize(str(whole), str(path), kind, threads=2, notice=lambda text: None)
    install(folder / "models", "m", path)


@pytest.fixture(scope="module", params=["Q4_K_M", "BF16"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert library() is not None or not build()
    assert "attention" in kernels()
    made = tmp_path_factory.mktemp("repeats")
    stored(made, request.param)
    return made


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(folder / "models", PUNA_CACHE_DIR=str(tmp_path), OLLAMA_NUM_PARALLEL="17") as server:
        yield server


def ask(server: Server, prompt: str = PROMPT, **options: Any) -> list[Any]:
    """The answer's text and tokens, and how likely each was."""
    body: dict[str, Any] = {
        "model": "m",
        "prompt": prompt,
        "raw": True,
        "stream": False,
        "logprobs": True,
        "top_logprobs": 3,
        "options": {"num_predict": LENGTH, "num_ctx": 2048} | options,
    }
    answer = httpx.post(f"{server.url}/api/generate", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["eval_count"] == body["options"]["num_predict"]
    return [told["response"], told["logprobs"]]


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each way says when it is the first and only request of its server, without drafts."""
    answers = {}
    for name, options in WAYS.items():
        cache = str(tmp_path_factory.mktemp("cache"))
        with serving(folder / "models", PUNA_CACHE_DIR=cache, OLLAMA_NUM_PARALLEL="17") as server:
            answers[name] = ask(server, draft_num_predict=0, **options)
    return answers


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_has_the_same_bits_behind_a_cache_with_drafts_and_in_other_pieces(
    way: str, server: Server, expected: dict[str, list[Any]]
):
    options, same = WAYS[way], expected[way]
    # Behind a part from the cache, after another's answer, and then the whole from the cache.
    ask(server, PROMPT[: len(PROMPT) // 2], temperature=0)
    assert ask(server, **options) == same
    assert ask(server, **options) == same
    # Guessed tokens are evaluated beside the one that is drawn.
    assert ask(server, draft_num_predict=16, **options) == same
    # Pieces of another size are another engine.
    for size in (32, 100):
        assert ask(server, num_batch=size, num_thread=1, **options) == same


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_has_the_same_bits_after_a_restart(
    way: str, folder: Path, tmp_path: Path, expected: dict[str, list[Any]]
):
    metrics = ""
    for _ in range(2):
        with serving(folder / "models", PUNA_CACHE_DIR=str(tmp_path), OLLAMA_NUM_PARALLEL="17") as server:
            assert ask(server, **WAYS[way]) == expected[way]
            metrics = httpx.get(f"{server.url}/metrics").text
    found = [line for line in metrics.splitlines() if line.startswith("puna_cached_prompt_tokens_total{")]
    assert float(found[0].rpartition(" ")[2]) > 300
