"""The limit: libllama alone, in a process of its own, told what to do over a pipe.

One line of JSON in, one out. Times are seconds. The context has the shape of the server's, so that the
ratio shows what the server adds and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from puna.engine.libllama import Context, LlamaModel
from puna.load import Placed

N_BATCH = 512

_ALL = 999
"""Layers: more than any model has."""

REST = 0.1
"""Seconds before each turn of the two: the other's threads spin on for a while after their work."""


class Bare:
    """A process that runs the plain loops on request."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, **task: Any) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        time.sleep(REST)
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def tokens(self, text: str) -> int:
        return int(self._ask(do="tokens", text=text)[0])

    def first(self, text: str) -> float:
        """Seconds from text to the first token."""
        return self._ask(do="first", text=text)[0]

    def chunk(self, text: str, size: int) -> float:
        """Seconds that the slower of the last two chunks of `size` tokens takes."""
        return self._ask(do="chunk", text=text, size=size)[0]

    def decode(self, text: str, count: int, streams: int = 1) -> float:
        """Tokens a second over all streams, the prompt not counted."""
        return self._ask(do="decode", text=text, count=count, streams=streams)[0]


@contextmanager
def bare(path: str, *, pool: int, device: str = "", **environment: str) -> Iterator[Bare]:
    """A bare libllama process over the model at `path` with `pool` KV cells, on `device` if that is given."""
    command = [sys.executable, "-m", "benchmarks.bare", path, str(pool), device]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )
    try:
        yield Bare(process)
    finally:
        process.communicate()


class _Loop:
    def __init__(self, path: str, pool: int, device: str) -> None:
        placed = Placed(devices=(device,), split=(_ALL,)) if device else Placed()
        self.model = LlamaModel(path, placed=placed)
        if self.model.packed is not None:
            self.model.packed.use_huge_pages()  # as an engine does when it has nothing else to do
        threads = psutil.cpu_count(logical=False) or 1
        self.context = Context(self.model, n_ctx=pool, n_batch=N_BATCH, n_seq=64, threads=threads)

    def tokenize(self, text: str) -> list[int]:
        return self.model.tokenize(text, add_special=False)

    def prefill(self, tokens: list[int], stream: int) -> int:
        return self.evaluate(tokens, stream, 0, len(tokens))

    def evaluate(self, tokens: list[int], stream: int, begin: int, end: int) -> int:
        """Evaluate tokens[begin:end] and return the token after them."""
        context, size = self.context, 0
        for start in range(begin, end, N_BATCH):
            part = tokens[start : min(start + N_BATCH, end)]
            size = len(part)
            context.tokens[:size] = part
            context.positions[:size] = range(start, start + size)
            context.sequences[:size] = stream
            context.wants_output[:size] = 0
            context.wants_output[size - 1] = start + size == end
            assert context.decode(size) == 0
        return int(context.logits(size - 1).argmax())

    def first(self, text: str) -> float:
        self.context.clear()
        started = time.perf_counter()
        self.prefill(self.tokenize(text), 0)
        return time.perf_counter() - started

    def chunk(self, text: str, size: int) -> float:
        self.context.clear()
        tokens = self.tokenize(text)
        last = len(tokens) - 2 * size
        self.evaluate(tokens, 0, 0, last)
        times = []
        for start in (last, last + size):
            started = time.perf_counter()
            self.evaluate(tokens, 0, start, start + size)
            times.append(time.perf_counter() - started)
        return max(times)

    def decode(self, text: str, count: int, streams: int) -> float:
        self.context.clear()
        context, prompt = self.context, self.tokenize(text)
        last = [self.prefill(prompt, stream) for stream in range(streams)]
        started = time.perf_counter()
        for step in range(count):
            context.tokens[:streams] = last
            context.positions[:streams] = len(prompt) + step
            context.sequences[:streams] = range(streams)
            context.wants_output[:streams] = 1
            assert context.decode(streams) == 0
            last = [int(context.logits(row).argmax()) for row in range(streams)]
        return streams * count / (time.perf_counter() - started)


def main() -> None:
    loop = _Loop(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    loop.first("warm up")
    for line in sys.stdin:
        task = json.loads(line)
        if task["do"] == "tokens":
            answer = [len(loop.tokenize(task["text"]))]
        elif task["do"] == "first":
            answer = [loop.first(task["text"])]
        elif task["do"] == "chunk":
            answer = [loop.chunk(task["text"], task["size"])]
        else:
            answer = [loop.decode(task["text"], task["count"], task["streams"])]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
