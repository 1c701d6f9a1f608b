"""What drafts bring: answers of a 1B shape that are scripted, with drafts and without, in turns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from gguf import GGMLQuantizationType

from benchmarks.client import stream
from benchmarks.table import Row, median
from tests.hybrid_models import DeltaNet, delta_model
from tests.models import hybrid_model, install, scripted_shape_model
from tests.running import serving

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "drafts"
NUM_CTX = 2048
ROUNDS = 3

_PART = 150
_FILE = [f"line_{number} " for number in range((1 + ROUNDS) * _PART + 1)]
"""What is edited, a token a word; each round has a part of its own, because what was said before is known."""

_COUNT = 50
_FIELDS = [(f"alpha{number}_", f"beta{number}_", f"gamma{number}") for number in range(_COUNT)]
_RECORD = [
    part
    for number, (first, second, third) in enumerate(_FIELDS)
    for part in (f'{", " if number else "{"}"{first}', second, third, f'": {100 + number}')
] + ["}"]
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"".join(names): {"type": "integer"} for names in _FIELDS},
    "required": ["".join(names) for names in _FIELDS],
}


_STORY = [f"word_{number} " for number in range(300)]

_1B = {"layers": 16, "width": 2048, "heads": 32, "kv_heads": 8, "ffn": 8192}
"""The shape of Llama 3.2 1B, and below that of SmolLM2 135M, with small vocabularies."""
_135M = {"layers": 30, "width": 576, "heads": 9, "kv_heads": 3, "ffn": 1536}

_CONVOLVES = {"layers": 16, "width": 1024, "heads": 16, "kv_heads": 8, "ffn": 4608}
"""About the shape of LFM2 350M; `_DELTA` and `_NET` are about that of Qwen 3.5 0.8B."""
_DELTA = {"layers": 24, "width": 1024, "heads": 8, "kv_heads": 2, "head_size": 256, "ffn": 3584}
_NET = DeltaNet(state=128, keys=16, values=16, every=4)


def _model(
    name: str,
    script: Sequence[str],
    shape: dict[str, int] = _1B,
    make: Callable[..., None] = scripted_shape_model,
) -> None:
    path = FOLDER / f"{name}.gguf"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        make(path, script=script, **shape, quantisation=GGMLQuantizationType.Q4_0)
        install(FOLDER / "models", name, path, template="{{ .Prompt }}")


class Bench:
    def __init__(self, port: int, model: str) -> None:
        self.port = port
        self.model = model

    def rate(self, prompt: str, *, most: int | None = None, count: int = -1, **fields: Any) -> float:
        """Tokens a second of an answer, with drafts of at most `most` tokens, or as long as pays."""
        options = {"temperature": 0, "num_ctx": NUM_CTX, "num_predict": count, "draft_num_predict": most}
        body = {"model": self.model, "prompt": prompt, "options": options} | fields
        return stream(self.port, "/api/generate", body).rate

    def row(self, what: str, make: Callable[[list[str]], list[str]], target: float) -> Row:
        """Answers that are the next part of the file, behind what `make` makes of that part."""
        starts = itertools.count(0, _PART)

        def once() -> float:
            start = next(starts)
            made = make(_FILE[start + 1 : start + 1 + _PART])
            prompt = "".join([*made, ".", _FILE[start]])
            fast = self.rate(prompt, count=_PART)
            return fast / self.rate(prompt, most=0, count=_PART)

        return Row(what, median(once, ROUNDS), target)


def _edited(part: list[str]) -> list[str]:
    return ["other " if number % 40 == 20 else line for number, line in enumerate(part)]


def _misleading(part: list[str]) -> list[str]:
    """Behind every third word another one comes than before."""
    return [word for at in range(0, _PART, 3) for word in (*part[at : at + 3], "other ")]


def rows() -> Iterator[Row]:
    _model("editor", _FILE)
    _model("recorder", _RECORD)
    for what, make, target in (("code edit", _edited, 2.5), ("no repetition", _misleading, 0.98)):
        with serving(FOLDER / "models", OLLAMA_CONTEXT_LENGTH=str(NUM_CTX)) as server:
            bench = Bench(server.port, "editor")
            yield bench.row(f"{what} with drafts, of plain decode", make, target)
    yield from _hybrids()
    with serving(FOLDER / "models", OLLAMA_CONTEXT_LENGTH=str(NUM_CTX)) as server:
        bench = Bench(server.port, "recorder")

        def once() -> float:
            # Each loads the model anew: what was said before would be known.
            held = bench.rate("Go!", format=_SCHEMA, keep_alive=0)
            return held / bench.rate("Go!", most=0, keep_alive=0)

        yield Row("JSON held to a schema, of free text", median(once, 3), 1.0)
    yield _beside_a_draft_model()


def _hybrids() -> Iterator[Row]:
    """Models whose state is rolled back, by 15 tokens and by 3."""
    _model("convolves", _FILE, _CONVOLVES, hybrid_model)
    _model("delta", _FILE, _DELTA, partial(delta_model, net=_NET))
    for name, what, target in (("convolves", "LFM2", 2.0), ("delta", "Qwen 3.5", 1.3)):
        for task, make, least in (("code edit", _edited, target), ("no repetition", _misleading, 0.98)):
            # One at a time: the states of 33 sequences would take more than is rolled back by 3 for.
            with serving(
                FOLDER / "models", OLLAMA_CONTEXT_LENGTH=str(NUM_CTX), OLLAMA_NUM_PARALLEL="1"
            ) as server:
                bench = Bench(server.port, name)
                yield bench.row(f"{task} of a hybrid ({what}), of plain decode", make, least)


def _beside_a_draft_model() -> Row:
    """A 1B shape and a 135M one that says the same, of the 1B shape alone."""
    _model("teller", _STORY)
    _model("prompter", _STORY, _135M)
    with serving(FOLDER / "models", OLLAMA_CONTEXT_LENGTH=str(NUM_CTX)) as server:
        body = {"model": "prompted", "from": "teller", "draft": "prompter", "stream": False}
        httpx.post(f"{server.url}/api/create", json=body).raise_for_status()
        prompted, alone = Bench(server.port, "prompted"), Bench(server.port, "teller")

        def once() -> float:
            # Each loads the model anew: what was said before would be known.
            fast = prompted.rate("Go!", keep_alive=0)
            return fast / alone.rate("Go!", most=0, keep_alive=0)

        return Row("a draft model that is right, of plain decode", median(once, ROUNDS), 2.0)
