"""The same text again, through a real server: to the last bit, whatever the server did or does besides."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gguf import GGMLQuantizationType as Quantisation

from puna.engine import kernels
from puna.engine.libllama import quantize
from puna.kernels import build, library
from tests.hybrid_models import mamba2_model
from tests.models import hybrid_model, install, mixture_model, shape_model, sliding_window_model
from tests.running import Server, serving

PASSAGE = "The river rose in spring, and the ferryman counted boats, stones and herons until it fell again. "
LENGTH = 48
WAYS = {
    "greedy": {"temperature": 0},
    "seeded": {"seed": 7, "temperature": 0.8},
    "seeded, of many": {"seed": 8, "temperature": 1.5, "top_k": 0, "top_p": 1, "min_p": 0},
}
MODELS = {
    "Q4_K_M": "Q4_K_M",
    "BF16": "BF16",
    "window": "Q4_K_M",
    "mixture": "Q8_0",
    "hybrid": "Q8_0",
    "mamba2": "Q8_0",
}
"""How the weights of each are stored. `window`: every other block sees 40 tokens, the prompt has 400."""


def stored(folder: Path, name: str) -> None:
    """A model with random weights, in the store."""
    whole, path = folder / "whole.gguf", folder / "model.gguf"
    shape: dict[str, Any] = {"width": 256, "ffn": 512, "heads": 4, "kv_heads": 2}
    if name == "window":
        sliding_window_model(whole, window=40, quantisation=Quantisation.F16, **shape)
    elif name == "mixture":
        mixture_model(whole, quantisation=Quantisation.F16, **shape)
    elif name == "hybrid":
        hybrid_model(whole, quantisation=Quantisation.F16, **shape)
    elif name == "mamba2":
        mamba2_model(whole, quantisation=Quantisation.F16, state=32, ssm_heads=8, **shape)
    else:
        shape_model(whole, quantisation=Quantisation.F16, **shape)
    # Floats are libllama's where it is faster, as with AVX-512; its bits change with the batch.
    kind = "Q8_0" if name == "BF16" and "bf16" not in kernels().split() else MODELS[name]
    quantize(str(whole), str(path), kind, threads=2, notice=lambda text: None)
    install(folder / "models", "m", path)


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert library() is not None or not build()
    assert "attention" in kernels()
    made = tmp_path_factory.mktemp("repeats")
    stored(made, request.param)
    return made


def started(folder: Path, cache: Path) -> Any:
    return serving(folder / "models", PUNA_CACHE_DIR=str(cache), OLLAMA_NUM_PARALLEL="17")


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(folder, tmp_path_factory.mktemp("cache")) as server:
        yield server


def prompt(way: str) -> str:
    return f"{way}: {PASSAGE * 4}"


def tell(server: Server, prompt: str, **options: Any) -> dict[str, Any]:
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
    return answer.json()


def ask(server: Server, prompt: str, **options: Any) -> list[Any]:
    """The answer's text and tokens, and how likely each was."""
    told = tell(server, prompt, **options)
    return [told["response"], told["logprobs"]]


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each way says alone, without drafts, of a server that never saw its prompt."""
    with started(folder, tmp_path_factory.mktemp("cache")) as server:
        answers = {way: ask(server, prompt(way), draft_num_predict=0, **WAYS[way]) for way in WAYS}
    assert all(len(tokens) == LENGTH for _, tokens in answers.values())
    return answers


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_has_the_same_bits_behind_a_cache_and_with_drafts(
    way: str, server: Server, expected: dict[str, list[Any]]
):
    text, options, same = prompt(way), WAYS[way], expected[way]
    # Behind a part from the cache, after another's answer, and then the whole from the cache.
    ask(server, text[: len(text) // 2], temperature=0)
    assert ask(server, text, **options) == same
    assert ask(server, text, **options) == same
    # Guessed tokens are evaluated beside the one that is drawn.
    assert ask(server, text, draft_num_predict=16, **options) == same


@pytest.mark.parametrize("way", WAYS)
def test_a_seed_alone_has_drafts_and_the_same_bits(way: str, server: Server, expected: dict[str, list[Any]]):
    accepted = 0
    for _ in range(20):  # what pays is measured, and this machine may be busy
        # What was said before is guessed.
        told = tell(server, prompt(way), **WAYS[way])
        assert [told["response"], told["logprobs"]] == expected[way]
        accepted += told.get("draft_n_accepted", 0)
        if accepted > LENGTH:
            return
    raise AssertionError("hardly anything was drafted")


def test_answers_have_the_same_bits_beside_others(
    folder: Path, tmp_path: Path, expected: dict[str, list[Any]]
):
    with started(folder, tmp_path) as server, ThreadPoolExecutor(17) as pool:
        # What others leave of the pool is in pieces; the second time there is a cache besides.
        for turn in range(2):
            others = [
                pool.submit(tell, server, f"{i}, {turn}: {PASSAGE * (i % 3)}", num_predict=3 + 5 * i)
                for i in range(14)
            ]
            for draft in (0, 16):
                asked = {
                    way: pool.submit(ask, server, prompt(way), draft_num_predict=draft, **WAYS[way])
                    for way in WAYS
                }
                assert {way: answer.result() for way, answer in asked.items()} == expected
            for other in others:
                other.result()


@pytest.mark.parametrize("size", [32, 100])
def test_answers_have_the_same_bits_in_other_pieces(
    size: int, server: Server, expected: dict[str, list[Any]]
):
    for way in WAYS:
        # Pieces of another size are another engine.
        assert ask(server, prompt(way), num_batch=size, num_thread=1, **WAYS[way]) == expected[way]


def test_answers_have_the_same_bits_after_a_restart(
    folder: Path, tmp_path: Path, expected: dict[str, list[Any]]
):
    metrics = ""
    for _ in range(2):
        with started(folder, tmp_path) as server, ThreadPoolExecutor(3) as pool:
            asked = {way: pool.submit(ask, server, prompt(way), **WAYS[way]) for way in WAYS}
            assert {way: answer.result() for way, answer in asked.items()} == expected
            metrics = httpx.get(f"{server.url}/metrics").text
    found = [line for line in metrics.splitlines() if line.startswith("puna_cached_prompt_tokens_total{")]
    assert float(found[0].rpartition(" ")[2]) > 3 * 300
