"""One model in two real engines: who answers, from which KV cache, and what goes on when one of them dies.

The processor stands for both devices: what is placed on either is loaded on it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from puna.engine import EngineProcess, start
from puna.inference import ChatInput, Inference, Summary
from puna.library import Library
from puna.load import Device, Devices, LoadSpec, Placed
from puna.scheduling import Scheduler
from puna.server.metrics import Metrics
from puna.settings import FOREVER, Settings
from puna.types import Engine, Message
from tests.models import install, shape_model

GIB = 1 << 30
OPTIONS = {"replicas": 2, "num_ctx": 2048, "num_predict": 8, "temperature": 0}
Conversation = list[Message]


class Host:
    """A server's inner half with two devices, and the engines that were placed on them."""

    def __init__(self, store: Path) -> None:
        self.engines: dict[str, EngineProcess] = {}
        self.scheduler = Scheduler(Settings(keep_alive=FOREVER, cache=0), self.start, self.find)
        self.inference = Inference(Library(store), self.scheduler)

    async def start(self, spec: LoadSpec) -> Engine:
        (device,) = spec.placed.devices
        self.engines[device] = engine = await start(replace(spec, placed=Placed()))
        return engine

    async def find(self) -> Devices:
        one = Device(name="CUDA0", description="", backend="CUDA", shared=False, total=GIB, free=GIB)
        return Devices(backends=("cuda",), devices=(one, replace(one, name="CUDA1")))

    async def ask(self, messages: Conversation, **options: int) -> Summary:
        request = ChatInput(model="m", messages=messages, options=OPTIONS | options)
        *_, summary = [item async for item in self.inference.chat(request)]
        assert isinstance(summary, Summary)
        return summary

    async def both(self) -> None:
        """Until both engines are loaded."""
        while not (loaded := self.scheduler.loaded_models()) or loaded[0].replicas < 2:
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replicas")
    shape_model(folder / "m", layers=2)
    install(folder / "models", "m", folder / "m")
    return folder / "models"


@pytest.fixture
async def host(store: Path) -> AsyncIterator[Host]:
    host = Host(store)
    yield host
    await host.scheduler.close()


def conversation(about: str) -> Conversation:
    return [Message(role="system", content=f"About {about}. " * 60), Message(role="user", content="Well?")]


def turn(messages: Conversation) -> Conversation:
    return [*messages, Message(role="assistant", content="So."), Message(role="user", content="And then?")]


async def test_each_conversation_goes_on_where_it_was_read_and_elsewhere_when_that_died(host: Host):
    conversations = [conversation(about) for about in ("cats", "dogs", "birds", "bees")]
    await host.ask(conversations[0])
    await host.both()
    assert set(host.engines) == {"CUDA0", "CUDA1"}
    firsts = await asyncio.gather(*map(host.ask, conversations))
    seconds = [await host.ask(turn(messages)) for messages in conversations]
    assert all(
        later.cached_tokens > 0.8 * first.prompt_tokens for first, later in zip(firsts, seconds, strict=True)
    )
    os.kill(host.engines["CUDA0"].pid, signal.SIGKILL)
    thirds = [await host.ask(turn(messages)) for messages in conversations]
    kept = [
        third.cached_tokens > 0.8 * first.prompt_tokens for first, third in zip(firsts, thirds, strict=True)
    ]
    assert set(kept) == {True, False}


async def test_both_are_one_model_until_it_is_unloaded(host: Host):
    await host.ask(conversation("cats"))
    await host.both()
    metrics = Metrics()
    metrics.watch(host.scheduler)
    labels = {"model": "m:latest"}
    assert metrics.registry.get_sample_value("puna_models_loaded") == 1
    assert metrics.registry.get_sample_value("puna_model_engines", labels) == 2
    size = sum(engine.info.size for engine in host.engines.values())
    assert metrics.registry.get_sample_value("puna_model_memory_bytes", labels) == size
    await host.inference.unload("m")
    assert host.scheduler.loaded_models() == []
    assert not any(engine.alive for engine in host.engines.values())
