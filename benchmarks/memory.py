"""What sharing saves with every kind of memory: first tokens beside the first token of a cold prompt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gguf import GGMLQuantizationType

from benchmarks.client import Stream, stream
from benchmarks.inference import words
from benchmarks.table import Row, median
from tests.models import hybrid_model, install, recurrent_model, shape_model, sliding_window_model
from tests.running import serving

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "memory"
NUM_CTX = 4096
HEAD, QUESTION = 1000, 60
ROUNDS = 3

_Q8 = GGMLQuantizationType.Q8_0


def _models() -> dict[str, Callable[[Path], None]]:
    """Some blocks of the shapes of Llama 3.2 1B, Gemma 3 1B, LFM2 350M and Mamba 130M."""
    return {
        "full": lambda path: shape_model(
            path, layers=3, width=2048, heads=32, kv_heads=8, ffn=8192, vocab=4096, quantisation=_Q8
        ),
        "window": lambda path: sliding_window_model(
            path,
            layers=6,
            width=1024,
            heads=4,
            kv_heads=1,
            ffn=6912,
            vocab=4096,
            window=512,
            quantisation=_Q8,
        ),
        "hybrid": lambda path: hybrid_model(
            path, layers=10, width=1024, heads=16, kv_heads=8, ffn=4608, vocab=4096, quantisation=_Q8
        ),
        "recurrent": lambda path: recurrent_model(path, layers=24, width=768, vocab=4096, quantisation=_Q8),
    }


def text(count: int) -> str:
    """`count` tokens that nothing before began with: these models spell words in bytes."""
    return words(count)[:count].ljust(count, ".")


class Bench:
    def __init__(self, port: int, kind: str) -> None:
        self.port = port
        self.kind = kind

    def ask(self, prompt: str, count: int = 1, context: Sequence[int] = ()) -> Stream:
        body = {
            "model": self.kind,
            "prompt": prompt,
            "context": list(context),
            "options": {"temperature": 0, "num_predict": count, "num_ctx": NUM_CTX},
        }
        return stream(self.port, "/api/generate", body)

    def row(self, what: str, target: float, measure: Callable[[str, float], float]) -> Row:
        def once() -> float:
            prompt = text(HEAD) + text(QUESTION)
            cold = self.ask(prompt, 40).first
            return measure(prompt, cold) / cold

        return Row(f"{self.kind}: {what}, of cold", median(once, ROUNDS), target, more_is_better=False)

    def rows(self) -> Iterator[Row]:
        head = slice(HEAD)
        yield self.row("the same prompt again", 0.05, lambda prompt, cold: self.ask(prompt).first)
        yield self.row(
            "another question behind 1,000 tokens",
            0.2,
            lambda prompt, cold: self.ask(prompt[head] + text(QUESTION)).first,
        )
        yield self.row(
            "the last message edited", 0.15, lambda prompt, cold: self.ask(prompt[:-30] + text(30)).first
        )
        yield self.row("the next turn", 0.1, self.next_turn)
        yield self.row("last of 8 clients that share 1,000 tokens", 1.3, self.together)

    def next_turn(self, prompt: str, cold: float) -> float:
        """The conversation so far, as ids, and a short question."""
        return self.ask("And?", context=self.ask(prompt, 40).last["context"]).first

    def together(self, prompt: str, cold: float) -> float:
        shared = text(HEAD)
        prompts = [shared + text(QUESTION) for _ in range(8)]
        with ThreadPoolExecutor(8) as clients:
            return max(one.first for one in clients.map(self.ask, prompts, itertools.repeat(1)))


def rows() -> Iterator[Row]:
    """Each kind in a server of its own."""
    store = FOLDER / "models"
    for kind, make in _models().items():
        path = FOLDER / f"{kind}.gguf"
        if not path.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            make(path)
            install(store, kind, path, template="{{ .Prompt }}")
        with serving(store, OLLAMA_CONTEXT_LENGTH=str(NUM_CTX)) as server:
            bench = Bench(server.port, kind)
            bench.ask(text(10))
            yield from bench.rows()
