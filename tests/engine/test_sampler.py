"""What is drawn is what llama.cpp's plain chain draws over the whole vocabulary, token for token: by native
code, and by that chain where there is none."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, cast

import llama_cpp as C
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.engine.libllama import LlamaModel, Sampler
from puna.options import Options
from tests.models import shape_model

VOCAB = 8192
CONTEXT = 256
PENALTIES: list[dict[str, Any]] = [
    {},
    {"repeat_penalty": 1.3},
    {"repeat_penalty": 0.7, "frequency_penalty": -0.3, "repeat_last_n": 5},
    {"presence_penalty": 1.5, "repeat_last_n": -1},
    {"frequency_penalty": 0.4, "repeat_last_n": 3},
    {"repeat_penalty": 1.3, "repeat_last_n": 0},
]
TRUNCATIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"top_k": 1},
    {"top_k": 200, "top_p": 1.0, "min_p": 0.05},
    {"top_k": 2000},
    {"top_k": 0, "top_p": 1.0, "min_p": 0.1},
    {"top_k": 0, "top_p": 1.0, "min_p": 1.5},
    {"top_k": 0, "top_p": 1.0},
    {"top_k": 0, "top_p": 1.0, "temperature": 2.5},
    {"top_k": 100, "typical_p": 0.5},
    {"top_k": 5000, "top_p": 1.0},
    {"mirostat": 1},
    {"mirostat": 1, "mirostat_tau": 9.0, "mirostat_eta": 0.5, "temperature": 1.5},
    {"mirostat": 1, "mirostat_tau": 2.0, "top_k": 3},
    {"mirostat": 2},
]
TYPICAL: list[dict[str, Any]] = [
    {"top_k": 0, "typical_p": 0.5, "min_p": 0.1},
    {"top_k": 0, "typical_p": 0.3, "top_p": 1.0},
    {"top_k": 600, "typical_p": 0.9, "temperature": 1.5},
]
NUCLEI: list[dict[str, Any]] = [
    {"top_k": 0},
    {"top_k": 0, "top_p": 0.0},
    {"top_k": 0, "top_p": 0.5, "min_p": 0.2},
    {"top_k": 0, "top_p": 0.95, "temperature": 1.5},
    {"top_k": 0, "top_p": 0.6, "min_p": 0.0, "temperature": 0.3},
]


class PlainChain:
    """The same options in llama.cpp's own samplers, none of them helped."""

    def __init__(self, options: Options) -> None:
        self._typical = not options.mirostat and options.typical_p < 1
        chain = self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        o, add = options, C.llama_sampler_chain_add
        last_n = CONTEXT if o.repeat_last_n < 0 else o.repeat_last_n
        penalties = (o.repeat_penalty, o.frequency_penalty, o.presence_penalty)
        add(chain, C.llama_sampler_init_penalties(VOCAB, last_n, *penalties))
        if o.temperature <= 0:
            add(chain, C.llama_sampler_init_greedy())
        elif o.mirostat:
            add(chain, C.llama_sampler_init_temp(o.temperature))
            tau, eta = o.mirostat_tau, o.mirostat_eta
            if o.mirostat == 1:
                add(chain, C.llama_sampler_init_mirostat(VOCAB, o.seed, tau, eta, 100))
            else:
                add(chain, C.llama_sampler_init_mirostat_v2(o.seed, tau, eta))
        else:
            if o.top_k > 0:
                add(chain, C.llama_sampler_init_top_k(o.top_k))
            if o.typical_p < 1:
                add(chain, C.llama_sampler_init_typical(o.typical_p, 1))
            if o.top_p < 1:
                add(chain, C.llama_sampler_init_top_p(o.top_p, 1))
            if o.min_p > 0:
                add(chain, C.llama_sampler_init_min_p(o.min_p, 1))
            add(chain, C.llama_sampler_init_temp(o.temperature))
            add(chain, C.llama_sampler_init_dist(o.seed))

    def sample(self, logits: np.ndarray) -> int:
        data = np.zeros(VOCAB, [("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        data["id"], data["logit"] = np.arange(VOCAB), logits
        if self._typical:
            # It takes logarithms of all probabilities, and goes wrong if one is 0.
            data = data[logits > logits.max() - 100]
        pointer = ctypes.cast(data.ctypes.data, C.llama_token_data_p)
        array: Any = C.llama_token_data_array(data=pointer, size=len(data), selected=-1, sorted=False)
        C.llama_sampler_apply(self._chain, cast(Any, ctypes.byref(array)))
        return array.data[array.selected].id

    def accept(self, token: int) -> None:
        C.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        C.llama_sampler_free(self._chain)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LlamaModel:
    return LlamaModel(str(vocabulary(tmp_path_factory)))


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> LlamaModel:
    """The same model as if nothing had been compiled."""
    model = LlamaModel(str(vocabulary(tmp_path_factory)))
    model.drawing = None
    return model


def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.getbasetemp() / "vocabulary.gguf"
    if not path.exists():
        shape_model(path, vocab=VOCAB, layers=1)
    return path


def steps(spread: float, count: int) -> Iterator[np.ndarray]:
    """Logits whose peaks recur, so that penalties meet them; in every third most tokens may not come."""
    random = np.random.default_rng(7)
    often = random.integers(0, VOCAB, 12)
    for step in range(count):
        logits = (random.standard_normal(VOCAB) * spread).astype(np.float32)
        logits[often] += np.float32(3 * spread)
        if step % 3 == 2:
            logits[random.random(VOCAB) < 0.9] = -np.inf
        yield logits


@pytest.mark.parametrize("penalties", PENALTIES, ids=str)
@pytest.mark.parametrize(
    ("truncation", "spread"),
    [*product(TRUNCATIONS, [0.1, 2.0, 12.0]), *product(TYPICAL, [2.0, 12.0]), *product(NUCLEI, [12.0])],
    ids=str,
)
def test_the_same_tokens_as_the_plain_chain(
    model: LlamaModel,
    without: LlamaModel,
    truncation: dict[str, Any],
    penalties: dict[str, Any],
    spread: float,
):
    """Where logits are almost alike, the plain chain's single precision decides which is more typical."""
    compare([model, without], Options(seed=11, **truncation, **penalties), spread)


def compare(models: list[LlamaModel], options: Options, spread: float) -> None:
    ours, plain = [Sampler(model, options, context=CONTEXT) for model in models], PlainChain(options)
    for logits in steps(spread, 12):
        before = logits.copy()
        token = plain.sample(logits)
        plain.accept(token)
        for sampler in ours:
            assert sampler.sample(logits) == token
            assert np.array_equal(logits, before)
            sampler.accept(token)
    for sampler in ours:
        sampler.close()
    plain.close()


def test_a_nucleus_is_as_wide_as_its_sum_in_double_precision(model: LlamaModel):
    """The plain chain adds in single precision, so a wide nucleus ends some tokens early or late there."""
    options = Options(seed=3, top_k=0, top_p=0.999, temperature=4.0)
    sampler = Sampler(model, options, context=CONTEXT)
    for logits in steps(2.0, 200):
        likely = np.argsort(-logits)
        chances = np.exp(logits[likely].astype(np.float64) - logits.max())
        reached = int(np.searchsorted(chances.cumsum(), 0.999 * chances.sum()))
        assert sampler.sample(logits) in likely[: reached + 2]
    sampler.close()


OPTIONS = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.3, 1.0, 2.5]),
        "top_k": st.sampled_from([0, 0, 1, 40, 600]),
        "top_p": st.sampled_from([0.0, 0.5, 0.9, 0.999, 1.0]),
        "min_p": st.sampled_from([0.0, 0.0, 0.05, 0.7]),
        "mirostat": st.sampled_from([0, 0, 0, 1, 2]),
        "typical_p": st.sampled_from([1.0, 1.0, 1.0, 0.6]),
        "repeat_penalty": st.sampled_from([1.0, 1.3]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(OPTIONS, st.integers(0, 2**32), st.integers(0, 3)), min_size=1, max_size=9))
def test_many_rows_at_once_are_as_each_alone(model: LlamaModel, rows: list[tuple[dict[str, Any], int, int]]):
    """Whatever the logits: ties, tokens that may not come, and rows that are not numbers."""
    assert model.drawing is not None, "the native code is not compiled"
    together: list[Sampler] = []
    alone: list[Sampler] = []
    logits: list[np.ndarray] = []
    for options, seed, kind in rows:
        random = np.random.default_rng(seed)
        together.append(Sampler(model, Options(seed=seed, **options), context=CONTEXT))
        alone.append(Sampler(model, Options(seed=seed, **options), context=CONTEXT))
        values = random.standard_normal(VOCAB).astype(np.float32) * np.float32(random.choice([0.1, 2, 9]))
        if kind == 1:
            values = np.round(values)
        elif kind == 2:
            values[random.random(VOCAB) < 0.999] = -np.inf
            values[random.integers(VOCAB)] = 1
        elif kind == 3:
            values[random.integers(VOCAB)] = random.choice([np.nan, np.inf])
        logits.append(values)
    for _ in range(3):
        draws = [
            s.draws.set_logits(v.ctypes.data)
            for s, v in zip(together, logits, strict=True)
            if s.draws is not None
        ]
        model.drawing.draw(draws, 3)
        for draw, one, other, values in zip(draws, together, alone, logits, strict=True):
            if not np.isfinite(values.max()):
                assert draw.token == -1
                continue
            assert draw.token == other.sample(values)
            one.accept(draw.token)
            other.accept(draw.token)
    for sampler in together + alone:
        sampler.close()


def test_a_window_forgets_what_has_left_it(model: LlamaModel):
    options = Options(temperature=0, presence_penalty=1.0, repeat_last_n=2)
    sampler = Sampler(model, options, context=CONTEXT)
    logits = np.zeros(VOCAB, np.float32)
    logits[[5, 6, 7]] = 0.9, 0.8, 0.7
    drawn: list[int] = []
    for _ in range(6):
        drawn.append(sampler.sample(logits))
        sampler.accept(drawn[-1])
    sampler.close()
    assert drawn == [5, 6, 7, 5, 6, 7]
