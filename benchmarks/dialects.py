"""The other dialects beside the native API, on one server: what an answer costs more in each of them.

The model is a scripted one, whose token costs next to nothing: what is left is the server.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import access
from benchmarks.client import Stream, stream
from benchmarks.table import Row
from tests.models import install, scripted_model
from tests.running import Server, serving

MODEL = "endless"
MESSAGES = [{"role": "user", "content": "Go on."}]
SCRIPT = "".join(f" quux{number}" for number in range(64))
MARK = b"quux"
TOKENS = 2000
CPU_CLOCK = 2
"""In the number of another process's clock (clock_getcpuclockid(3); Linux, CPUCLOCK_SCHED)."""


@dataclass(frozen=True)
class Dialect:
    name: str
    path: str
    limit: str
    """The field for how many tokens to answer."""
    asks: str = "messages"

    def body(self, tokens: int) -> dict[str, Any]:
        return {"model": MODEL, self.asks: MESSAGES, "stream": True, "temperature": 0, self.limit: tokens}


class Native(Dialect):
    def body(self, tokens: int) -> dict[str, Any]:
        return {"model": MODEL, "messages": MESSAGES, "options": {"temperature": 0, "num_predict": tokens}}


NATIVE = Native("native", "/api/chat", "")
OTHERS = (
    Dialect("chat/completions", "/v1/chat/completions", "max_tokens"),
    Dialect("responses", "/v1/responses", "max_output_tokens", asks="input"),
    Dialect("messages", "/v1/messages", "max_tokens"),
)


@dataclass(frozen=True)
class Cost:
    """Of one answer, in microseconds."""

    first: float
    """To the first token."""
    wall: float
    """A token after that one."""
    cpu: float
    """Of the server's process, for all it did, a token."""

    def above(self, other: Cost) -> Cost:
        return Cost(self.first - other.first, self.wall - other.wall, self.cpu - other.cpu)


class Bench:
    def __init__(self, server: Server) -> None:
        self._port = server.port
        self._clock = (~server.process.pid << 3) | CPU_CLOCK

    def ask(self, dialect: Dialect, tokens: int) -> Cost:
        before = time.clock_gettime_ns(self._clock)
        answer = stream(self._port, dialect.path, dialect.body(tokens))
        cpu = time.clock_gettime_ns(self._clock) - before
        times = arrivals(answer, tokens)
        wall = (times[-1] - times[0]) / max(1, tokens - 1)
        return Cost(1e6 * (times[0] - answer.asked), 1e6 * wall, cpu / 1000 / tokens)

    def above(self, tokens: int, rounds: int) -> dict[str, list[Cost]]:
        """What each dialect costs more than the native API before and after it."""
        costs: dict[str, list[Cost]] = {dialect.name: [] for dialect in OTHERS}
        before = self.ask(NATIVE, tokens)
        for _ in range(rounds):
            for dialect in OTHERS:
                cost = self.ask(dialect, tokens)
                after = self.ask(NATIVE, tokens)
                limit = Cost(
                    (before.first + after.first) / 2,
                    (before.wall + after.wall) / 2,
                    (before.cpu + after.cpu) / 2,
                )
                costs[dialect.name].append(cost.above(limit))
                before = after
        return costs


def arrivals(answer: Stream, tokens: int) -> list[float]:
    """When each token came; what repeats the answer at its end does not count."""
    pairs = zip(answer.times, answer.pieces, strict=True)
    times = [when for when, piece in pairs if MARK in piece][:tokens]
    assert len(times) == tokens, f"{len(times)} of {tokens} tokens came apart"
    return times


def rows(first_rounds: int = 41, rounds: int = 11) -> Iterator[Row]:
    """Every target of the dialects, and of the layer that all of them lie behind."""
    yield from access.rows()
    with tempfile.TemporaryDirectory() as folder:
        gguf, store = Path(folder) / "model.gguf", Path(folder) / "models"
        scripted_model(gguf, SCRIPT, endless=True)
        install(store, MODEL, gguf, parameters={"num_thread": 1})
        with serving(store) as server:
            bench = Bench(server)
            bench.above(50, 2)
            short, long = bench.above(1, first_rounds), bench.above(TOKENS, rounds)
            for name, costs in short.items():
                added = statistics.median(cost.first for cost in costs) / 1000
                yield Row(f"{name}: first token above native", added, 1, "ms", more_is_better=False)
            for name, costs in long.items():
                wall = statistics.median(cost.wall for cost in costs)
                cpu = statistics.median(cost.cpu for cost in costs)
                yield Row(f"{name}: a token above native", wall, 30, "µs", more_is_better=False)
                yield Row(f"{name}: server's CPU for it", cpu, 30, "µs", more_is_better=False)
