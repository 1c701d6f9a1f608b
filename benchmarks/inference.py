"""A model at work: the whole server beside bare libllama on the starter model."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from benchmarks.bare import REST, Bare, bare
from benchmarks.client import Stream, generate
from benchmarks.table import MEGABYTE, Row, median
from puna.library import Library, Name, install
from tests.running import Server, serving

MODEL = "smollm2:135m"
STORE = Path(__file__).resolve().parent.parent / ".cache" / "models"
NUM_CTX = 8192
POOL = 2 * NUM_CTX

_fresh = itertools.count()


def words(count: int) -> str:
    """A prompt of about `count` tokens that no earlier prompt shares a beginning with."""
    number = next(_fresh)
    return f"{number} " + " ".join(f"word {(number * 31 + i) % 997}" for i in range(count // 4))


class Bench:
    """The server under test and the bare loop beside it."""

    def __init__(self, server: Server, limit: Bare) -> None:
        self.port = server.port
        self.server = server
        self.limit = limit

    def ask(self, prompt: str, count: int) -> Stream:
        time.sleep(REST)
        return generate(self.port, MODEL, prompt, num_predict=count, num_ctx=NUM_CTX)

    def together(self, prompts: list[str], count: int) -> list[Stream]:
        with ThreadPoolExecutor(len(prompts)) as clients:
            return list(clients.map(self.ask, prompts, itertools.repeat(count)))

    def rows(self) -> Iterator[Row]:
        yield self.memory()
        yield self.decode()
        yield self.prefill()
        yield self.first_token()
        yield self.shared_prefix()
        yield self.next_turn()
        yield self.eight_streams()
        yield self.stall()

    def decode(self) -> Row:
        def once() -> float:
            prompt = words(30)
            before = self.limit.decode(prompt, 128)
            rate = self.ask(prompt, 128).rate
            return 2 * rate / (before + self.limit.decode(prompt, 128))

        return Row("single stream decode, of bare libllama", median(once, 11), 0.95)

    def prefill(self) -> Row:
        def once() -> float:
            prompt = words(1024)
            before = self.limit.first(prompt)
            asked = self.ask(prompt, 1).first
            return (before + self.limit.first(prompt)) / 2 / asked

        return Row("prefill of 1,024 tokens, of bare libllama", median(once), 0.97)

    def first_token(self) -> Row:
        def once() -> float:
            prompt = words(40)
            limit = self.limit.first(prompt)
            return 1000 * (self.ask(prompt, 1).first - limit)

        return Row("time to first token above bare libllama", median(once, 25), 5, "ms", more_is_better=False)

    def shared_prefix(self) -> Row:
        def once() -> float:
            system = words(1000)
            alone = self.ask(words(1000) + " Question 0?", 1).first
            prompts = [f"{system} Question {n}?" for n in range(8)]
            last = max(s.first for s in self.together(prompts, 1))
            return last / alone

        return Row(
            "last of 8 clients that share 1,000 tokens, of one alone",
            median(once),
            1.3,
            more_is_better=False,
        )

    def next_turn(self) -> Row:
        def once() -> float:
            prompt = words(1000)
            cold = self.ask(prompt, 1).first
            return self.ask(prompt + " And then what?", 1).first / cold

        return Row("first token of the next turn, of the first turn", median(once), 0.2, more_is_better=False)

    def eight_streams(self) -> Row:
        def once() -> float:
            prompt = words(30)
            before = self.limit.decode(prompt, 96, streams=8)
            prompts = [words(30) for _ in range(8)]
            streams = self.together(prompts, 96)
            begin = max(s.times[0] for s in streams)
            end = min(s.times[-2] for s in streams)
            count = sum(sum(begin < t <= end for t in s.times[:-1]) for s in streams)
            limit = before + self.limit.decode(prompt, 96, streams=8)
            return 2 * count / (end - begin) / limit

        return Row("8 streams together, of libllama at batch 8", median(once), 0.95)

    def stall(self) -> Row:
        """The longest gap of a running stream that outlasts another's long prefill.

        Of four rounds the best one, because a machine that is taken away for a moment lengthens gaps too.
        """

        def longest(prompt: str) -> float:
            with ThreadPoolExecutor(1) as other:
                running = other.submit(self.ask, words(30), 200)
                time.sleep(0.3)
                long = self.ask(prompt, 1)
                times = running.result().times
            if times[-1] < long.times[0]:
                return math.inf
            return max(b - a for a, b in itertools.pairwise(times) if a < long.times[0])

        return Row(
            "longest wait of an answer behind a 4,000-token prefill",
            min(longest(words(3200)) for _ in range(4)),
            0.4,
            "s",
            more_is_better=False,
        )

    def memory(self) -> Row:
        self.ask(words(500), 100)
        engine = psutil.Process(self.server.process.pid).children()[0]
        model = Library(STORE).open(MODEL)
        file = os.stat(model.weights).st_size
        get = model.metadata.arch
        head = get("embedding_length") // get("attention.head_count")
        kv = POOL * get("block_count") * get("attention.head_count_kv") * 2 * head * 2
        above = (engine.memory_info().rss - file - kv) / MEGABYTE
        return Row("loaded model above file and KV", above, 150, "MB", more_is_better=False)


def idle() -> Iterator[Row]:
    """A server without models: how soon it listens and what it holds."""
    started, resident = [], 0.0
    for _ in range(5):
        begin = time.perf_counter()
        with serving(STORE) as server:
            started.append(time.perf_counter() - begin)
            httpx.get(f"http://127.0.0.1:{server.port}/api/tags")  # what is loaded late is loaded then
            resident = psutil.Process(server.process.pid).memory_info().rss / MEGABYTE
    yield Row("server listens after its start", statistics.median(started), 1.0, "s", more_is_better=False)
    yield Row("server without models, resident", resident, 120, "MB", more_is_better=False)


def rows() -> Iterator[Row]:
    """Every target of serving a model."""
    library = Library(STORE)
    install(library, Name.parse(MODEL), lambda _: None)
    weights = str(library.open(MODEL).weights)
    yield from idle()
    with serving(STORE, OLLAMA_CONTEXT_LENGTH=str(NUM_CTX)) as server, bare(weights, pool=POOL) as limit:
        bench = Bench(server, limit)
        bench.ask(words(10), 8)
        yield from bench.rows()
