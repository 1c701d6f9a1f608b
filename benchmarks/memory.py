"""What sharing saves with every kind of memory: first tokens beside the first token of a cold prompt."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from gguf import GGMLQuantizationType

from benchmarks.client import Stream, stream
from benchmarks.inference import words
from benchmarks.table import Row
from tests.models import hybrid_model, install, recurrent_model, shape_model, sliding_window_model
from tests.running import serving

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "memory"
NUM_CTX = 4096
HEAD, QUESTION = 1000, 60
CLIENTS, OWN = 8, 20
"""With 60 tokens each of their own, eight clients would evaluate 1.40 of a prompt: more than the target."""
ROUNDS = 3
LONG, LONG_CTX = 10_000, 12_288

TARGETS = {
    "the same prompt again": 0.05,
    f"another question behind {HEAD:,} tokens": 0.2,
    "the last message edited": 0.15,
    "the next turn": 0.1,
    f"last of {CLIENTS} clients that share {HEAD:,} tokens": 1.3,
}
"""First tokens, of a cold prompt's. The clients' prompts have `OWN` tokens of their own."""

_Q8 = GGMLQuantizationType.Q8_0


def _llama(layers: int) -> Callable[[Path], None]:
    """Some of the 16 blocks of Llama 3.2 1B."""
    return lambda path: shape_model(
        path,
        layers=layers,
        width=2048,
        heads=32,
        kv_heads=8,
        ffn=8192,
        vocab=4096,
        context_length=LONG_CTX,
        quantisation=_Q8,
    )


def _models() -> dict[str, Callable[[Path], None]]:
    """Some blocks of the shapes of Llama 3.2 1B, Gemma 3 1B, LFM2 350M and Mamba 130M."""
    return {
        "full": _llama(2),
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
            path, layers=6, width=1024, heads=16, kv_heads=8, ffn=4608, vocab=4096, quantisation=_Q8
        ),
        "recurrent": lambda path: recurrent_model(path, layers=8, width=768, vocab=4096, quantisation=_Q8),
    }


def text(count: int) -> str:
    """`count` tokens that nothing before began with: these models spell words in bytes."""
    return words(count)[:count].ljust(count, ".")


class Bench:
    def __init__(self, port: int, kind: str) -> None:
        self.port = port
        self.kind = kind

    def ask(
        self, prompt: str, count: int = 1, *, context: Sequence[int] = (), num_ctx: int = NUM_CTX
    ) -> Stream:
        body = {
            "model": self.kind,
            "prompt": prompt,
            "context": list(context),
            "options": {"temperature": 0, "num_predict": count, "num_ctx": num_ctx},
        }
        return stream(self.port, "/api/generate", body)

    def rows(self) -> Iterator[Row]:
        rounds = [self.once() for _ in range(ROUNDS)]
        for what, target in TARGETS.items():
            measured = statistics.median(once[what] for once in rounds)
            yield Row(f"{self.kind}: {what}, of cold", measured, target, more_is_better=False)

    def once(self) -> dict[str, float]:
        """Each of TARGETS, measured behind one cold prompt."""
        prompt = text(HEAD) + text(QUESTION)
        cold = self.ask(prompt, 40)
        context = cold.last["context"]
        firsts = [
            self.ask(prompt).first,
            self.ask(prompt[:HEAD] + text(QUESTION)).first,
            self.ask(prompt[:-30] + text(30)).first,
            self.ask("And?", context=context).first,
        ]
        shared = text(HEAD)
        alone = self.ask(text(HEAD) + text(OWN)).first
        with ThreadPoolExecutor(CLIENTS) as clients:
            prompts = [shared + text(OWN) for _ in range(CLIENTS)]
            last = max(one.first for one in clients.map(self.ask, prompts))
        ratios = [*(first / cold.first for first in firsts), last / alone]
        return dict(zip(TARGETS, ratios, strict=True))


def rows() -> Iterator[Row]:
    """Each kind in a server of its own."""
    for kind, make in _models().items():
        store = _installed(kind, make)
        with serving(store, OLLAMA_CONTEXT_LENGTH=str(NUM_CTX), PUNA_CACHE="0") as server:
            bench = Bench(server.port, kind)
            bench.ask(text(10))
            yield from bench.rows()
    yield from kept()


def kept() -> Iterator[Row]:
    """A long chat whose engine is gone, then its server, too.

    The model's load counts. Starting an engine takes as long for few blocks as for many, so a quarter of the
    16 blocks is evaluated.
    """
    kind = "quarter"
    store = _installed(kind, _llama(4))
    shutil.rmtree(FOLDER / "puna-cache", ignore_errors=True)
    chat = text(LONG)
    with serving(store) as server:
        bench = Bench(server.port, kind)
        bench.ask(text(10), num_ctx=LONG_CTX)
        cold = bench.ask(chat, num_ctx=LONG_CTX).first
        unload = {"model": kind, "keep_alive": 0}
        httpx.post(f"{server.url}/api/generate", json=unload, timeout=60)
        again = bench.ask(chat, num_ctx=LONG_CTX).first
        yield Row(f"{LONG:,} tokens after an unload, of cold", again / cold, 0.05, more_is_better=False)
    with serving(store) as server:
        again = Bench(server.port, kind).ask(chat, num_ctx=LONG_CTX).first
        yield Row(f"{LONG:,} tokens after a restart, of cold", again / cold, 0.05, more_is_better=False)


def _installed(kind: str, make: Callable[[Path], None]) -> Path:
    """A store that has a model of this kind."""
    path, store = FOLDER / f"{kind}.gguf", FOLDER / "models"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        make(path)
        install(store, kind, path, template="{{ .Prompt }}")
    return store
