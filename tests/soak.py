"""Many clients for a long time, with a fault now and then: `python -m tests.soak MINUTES`, or `make soak`.

Every model's answer is known, so a wrong one is seen. There is memory for half of the models. A fault is an
engine that is killed or stopped, or a disk that is full for a while. An answer that had begun on the engine
may end with an error that says so; nothing else may go wrong. What the server takes is looked at every
second: it may not grow after the first fifth of the time.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from puna.gguf import read_metadata
from tests.faults.injecting import processes
from tests.models import embedding_model, install, install_with_projector, scripted_model
from tests.running import Server, serving
from tests.vision_models import llava_projector

CLIENTS = 32
BETWEEN_FAULTS = 20.0
"""Seconds."""
MEMORY = 600 << 20
"""Bytes for models: the one with pictures needs half of it."""
LOADED = 3
"""Models in memory; there are twice as many."""
FULL = 5.0
"""Seconds for which the disk takes no file of more than a page."""

_TEXT = "The sky is blue: é 😀."
_CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "sky"}}\n</tool_call>'
_OBJECT = '{"a": 1}'
_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if tools %}# Tools: {{ tools | tojson }}\n{% endif %}<|im_start|>assistant\n"
)
_TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}},
}


def _picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "blue").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


_INJECTED = re.compile(r"SIGKILL|hung|timed out waiting for the model to load")


@dataclass
class Found:
    """What came of it: `wrong` answers are not what the model says, `errors` are those nobody injected."""

    asked: Counter[str] = field(default_factory=Counter)
    injected: int = 0
    faults: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    """Bytes of the server's process, second by second."""
    open_files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    """Pieces of shared memory that the server and its engines have."""

    def growth(self, values: list[int]) -> float:
        """The largest of the last fifth beside the largest of the second, without which nothing is said."""
        fifth = max(len(values) // 5, 1)
        return max(values[-fifth:]) / max(values[fifth : 2 * fifth] or values)

    def told(self) -> str:
        return (
            f"{sum(self.asked.values())} requests {dict(self.asked)}\n"
            f"{self.faults} faults, {self.injected} answers cut by them, {self.refused} refused\n"
            f"{len(self.wrong)} wrong answers, {len(self.errors)} errors\n"
            f"resident {max(self.resident) >> 20} MB at most, grown x {self.growth(self.resident):.3f}; "
            f"files x {self.growth(self.open_files):.2f}, threads x {self.growth(self.threads):.2f}, "
            f"shared memory {self.shared[0]} pieces before, {self.shared[-1]} after"
        )


def make_models(folder: Path, store: Path) -> None:
    gguf = folder / "model.gguf"
    for name, said in (("talker", _TEXT), ("caller", _CALL), ("writer", _OBJECT)):
        scripted_model(gguf, said, chat_template=_TEMPLATE)
        install(store, name, gguf)
    scripted_model(gguf, "on and ", endless=True)
    install(store, "endless", gguf)
    embedding_model(gguf)
    install(store, "vectors", gguf)
    scripted_model(folder / "seer.gguf", _TEXT)
    width = read_metadata(folder / "seer.gguf").arch("embedding_length")
    assert isinstance(width, int)
    llava_projector(folder / "eyes.gguf", width=width)
    install_with_projector(store, "seer", folder / "seer.gguf", folder / "eyes.gguf")


class Soak:
    """32 clients on one server."""

    def __init__(self, server: Server, http: httpx.AsyncClient, seconds: float) -> None:
        self._server, self._http = server, http
        self._end = time.monotonic() + seconds
        self._vectors: list[float] = []
        self.found = Found()

    async def run(self) -> Found:
        self._vectors = (await self._post("/api/embed", model="vectors", input="one")).json()["embeddings"][0]
        await asyncio.gather(*(self._client(n) for n in range(CLIENTS)), self._break(), self._watch())
        return self.found

    async def _client(self, number: int) -> None:
        chance = random.Random(number)
        actions: list[tuple[int, Callable[[], Awaitable[str | None]]]] = [
            (5, self._chat), (4, self._stream), (3, self._call), (3, self._schema), (3, self._embed),
            (2, self._picture), (3, self._cancel), (1, self._unload), (1, self._list),
        ]  # fmt: skip
        weights, kinds = zip(*actions, strict=True)
        while time.monotonic() < self._end:
            (act,) = chance.choices(kinds, weights)
            name = act.__name__.strip("_")
            self.found.asked[name] += 1
            try:
                wrong = await act()
            except httpx.HTTPError as error:
                self.found.errors.append(f"{name}: {error!r}")
                continue
            if wrong:
                self._judge(f"{name}: {wrong}")

    def _judge(self, what: str) -> None:
        if _INJECTED.search(what) and self.found.faults:
            self.found.injected += 1
        elif "server busy" in what:
            self.found.refused += 1
        elif "error" in what:
            self.found.errors.append(what)
        else:
            self.found.wrong.append(what)

    async def _post(self, path: str, **body: Any) -> httpx.Response:
        return await self._http.post(path, json=body)

    async def _answered(self, wanted: str, path: str, **body: Any) -> str | None:
        answer = await self._post(path, stream=False, **body)
        message = answer.json().get("message", {})
        return None if message.get("content") == wanted else answer.text

    async def _chat(self) -> str | None:
        return await self._answered(_TEXT, "/api/chat", model="talker", messages=_said("Hi"))

    async def _schema(self) -> str | None:
        form = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
        return await self._answered(_OBJECT, "/api/chat", model="writer", messages=_said("Go"), format=form)

    async def _picture(self) -> str | None:
        message = {"role": "user", "content": "What?", "images": [_picture()]}
        return await self._answered(_TEXT, "/api/chat", model="seer", messages=[message])

    async def _call(self) -> str | None:
        body = {"model": "caller", "messages": _said("Look"), "tools": [_TOOL]}
        answer = await self._post("/v1/chat/completions", **body)
        with contextlib.suppress(KeyError, TypeError, IndexError):
            (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
            if json.loads(call["function"]["arguments"]) == {"at": "sky"}:
                return None
        return answer.text

    async def _embed(self) -> str | None:
        answer = await self._post("/api/embed", model="vectors", input=["one", "two"])
        vectors = answer.json().get("embeddings")
        near = vectors and all(abs(a - b) < 0.01 for a, b in zip(vectors[0], self._vectors, strict=True))
        return None if near else answer.text

    async def _stream(self) -> str | None:
        text = ""
        body = {"model": "talker", "messages": _said("Hi")}
        async with self._http.stream("POST", "/api/chat", json=body) as answer:
            async for line in answer.aiter_lines():
                piece = json.loads(line)
                if "error" in piece:
                    return line
                text += piece["message"]["content"]
        return None if text == _TEXT else text

    async def _cancel(self) -> str | None:
        body = {"model": "endless", "prompt": "Go", "options": {"num_predict": 100_000}}
        async with self._http.stream("POST", "/api/generate", json=body) as answer:
            lines = answer.aiter_lines()
            for _ in range(10):
                line = await anext(lines, "")
                if "error" in json.loads(line or "{}"):
                    return line
        return None

    async def _unload(self) -> str | None:
        answer = await self._post("/api/generate", model="talker", keep_alive=0)
        return None if answer.status_code == 200 else answer.text

    async def _list(self) -> str | None:
        answers = [await self._http.get(path) for path in ("/api/tags", "/api/ps", "/healthz")]
        return None if all(answer.status_code == 200 for answer in answers) else answers[1].text

    async def _break(self) -> None:
        """A fault now and then: an engine is killed, one hangs, the disk is full."""
        faults = itertools.cycle([self._kill, self._hang, self._fill])
        while time.monotonic() + BETWEEN_FAULTS < self._end:
            await asyncio.sleep(BETWEEN_FAULTS)
            with contextlib.suppress(psutil.Error, IndexError):
                await next(faults)()
                self.found.faults += 1

    async def _kill(self) -> None:
        random.choice(processes(self._server)).kill()

    async def _hang(self) -> None:
        random.choice(processes(self._server)).suspend()

    async def _fill(self) -> None:
        """No process of the server's can write a file that is worth anything."""
        for most in (4096, psutil.RLIM_INFINITY):
            for process in [psutil.Process(self._server.process.pid), *processes(self._server)]:
                with contextlib.suppress(psutil.Error):
                    process.rlimit(psutil.RLIMIT_FSIZE, (most, psutil.RLIM_INFINITY))
            await asyncio.sleep(FULL if most == 4096 else 0)

    async def _watch(self) -> None:
        process = psutil.Process(self._server.process.pid)
        while time.monotonic() < self._end:
            self.found.resident.append(process.memory_info().rss)
            self.found.open_files.append(process.num_fds())
            self.found.threads.append(process.num_threads())
            self.found.shared.append(sum(map(_shared, [process, *processes(self._server)])))
            await asyncio.sleep(1)


def _shared(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return sum(part.path.startswith(("/dev/shm/", "/SYSV")) for part in process.memory_maps())
    return 0


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def soak(folder: Path, seconds: float) -> Found:
    """What `seconds` of it come to. Afterwards nothing runs or waits, and no engine is left over."""
    store = folder / "models"
    make_models(folder, store)
    with serving(
        store,
        OLLAMA_MAX_LOADED_MODELS=str(LOADED),
        PUNA_MEMORY=str(MEMORY),
        OLLAMA_LOAD_TIMEOUT="20",
        PUNA_WATCHDOG="5",
    ) as server:

        async def run() -> Found:
            unlimited = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(base_url=server.url, timeout=300, limits=unlimited) as http:
                return await Soak(server, http, seconds).run()

        found = asyncio.run(run())
        assert len(processes(server)) <= LOADED + 1  # and the one that stands by
        return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(soak(Path(folder), 60 * float(sys.argv[1])).told())
