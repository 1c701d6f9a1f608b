"""Engines that run out of memory on a device: real processes, in which libllama is made to find none.

The processor stands for the device, because ggml lists it as one.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from puna.engine import start
from puna.errors import EngineGone, LoadFailed
from puna.inference import GenerateInput, Inference, Summary
from puna.library import Library
from puna.load import Device, Devices, LoadSpec
from puna.scheduling import Scheduler
from puna.settings import FOREVER, Settings
from puna.types import Engine
from tests.models import install, shape_model

INTERPRETER = '''#!{python}
"""Runs an engine. While the file `fault` is there, its n-th evaluation fails as the file says."""
import ctypes, pathlib, runpy
import llama_cpp
from llama_cpp._ggml import libggml
fault, really, seen = pathlib.Path({fault!r}), llama_cpp.llama_decode, 0

def decode(*arguments):
    global seen
    if fault.exists():
        nth, how, again = fault.read_text().split()
        seen += 1
        if seen == int(nth):
            if again == "once":
                fault.unlink()
            # ggml complains of this as it does of a device.
            libggml.ggml_aligned_malloc(ctypes.c_size_t(1 << 60))
            if how == "aborts":
                libggml.ggml_abort(b"there", 1, b"fatal error")
            return -2
    return really(*arguments)

llama_cpp.llama_decode = decode
runpy.run_module("puna.engine", run_name="__main__")
'''


class Host:
    """A server's inner half with a device of 40 MB, and how its engines were loaded."""

    def __init__(self, store: Path, fault: Path) -> None:
        self.specs: list[LoadSpec] = []
        self.fault = fault
        self.scheduler = Scheduler(Settings(keep_alive=FOREVER), self.start, self.find)
        self.inference = Inference(Library(store), self.scheduler)

    async def start(self, spec: LoadSpec) -> Engine:
        self.specs.append(spec)
        return await start(spec)

    async def find(self) -> Devices:
        total = (128 << 20) + (40 << 20)
        device = Device(name="CPU", description="", backend="CUDA", shared=False, total=total, free=total)
        return Devices(backends=("cuda",), devices=(device,))

    async def ask(self) -> Summary:
        options = {"num_predict": 8, "temperature": 0, "num_ctx": 512}
        request = GenerateInput(model="m", prompt="one two", raw=True, options=options)
        *_, summary = [item async for item in self.inference.generate(request)]
        assert isinstance(summary, Summary)
        return summary


def smaller(spec: LoadSpec, than: LoadSpec) -> bool:
    """Whether less of it is on the device."""
    return (spec.placed.layers, spec.pool) < (than.placed.layers, than.pool)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exhausted")
    shape_model(folder / "m", layers=4, width=256, heads=4, kv_heads=4, ffn=512)
    install(folder / "models", "m", folder / "m")
    return folder / "models"


@pytest.fixture
async def host(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    interpreter, fault = tmp_path / "python", tmp_path / "fault"
    interpreter.write_text(INTERPRETER.format(python=sys.executable, fault=str(fault)))
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    host = Host(store, fault)
    yield host
    await host.scheduler.close()


@pytest.mark.parametrize("how", ["reports", "aborts"])
async def test_an_answer_that_had_not_begun_comes_from_a_smaller_engine(host: Host, how: str):
    before = await host.ask()
    host.fault.write_text(f"1 {how} once")
    after = await host.ask()
    assert after.tokens == before.tokens
    first, second = host.specs
    assert first.placed.layers == 5
    assert smaller(second, first)


async def test_one_that_had_begun_ends_in_an_error_and_the_smaller_plan_is_kept(host: Host):
    await host.ask()
    host.fault.write_text("4 reports once")
    with pytest.raises(EngineGone, match="ran out of memory"):
        await host.ask()
    for _ in range(2):
        await host.ask()
        (loaded,) = host.scheduler.loaded_models()
        await host.scheduler.unload(loaded.model)
    first, *later = host.specs
    assert len(later) == 2
    assert all(smaller(spec, first) for spec in later)


async def test_one_that_runs_out_again_is_told_so(host: Host):
    await host.ask()
    host.fault.write_text("1 aborts always")
    with pytest.raises(LoadFailed, match="ran out of memory"):
        await host.ask()
    first, second = host.specs
    assert smaller(second, first)


async def test_at_the_first_evaluation_of_a_load_it_is_loaded_with_less(host: Host):
    host.fault.write_text("1 reports once")
    await host.ask()
    first, second = host.specs
    assert smaller(second, first)
