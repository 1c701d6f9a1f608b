"""`make device-check`: a GPU at work beside libllama alone on it, as one JSON object; some minutes.

With `--dry` the processor is the device, and models are tiny: that shows that the check itself works.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from benchmarks.bare import bare
from benchmarks.inference import words
from puna.engine import EngineProcess, find_devices, start
from puna.engine.libllama import Context, LlamaModel, build
from puna.load import LoadSpec, Placed
from puna.options import Options
from puna.types import Finish, Job
from tests.models import shape_model

POOL = 16_384
STREAMS = 32
TOKENS = 64
GREEDY = Options(num_predict=TOKENS, temperature=0)
DRAWN = Options(num_predict=TOKENS, seed=1)


class Shape(NamedTuple):
    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int


SHAPES = (Shape("1B", 16, 2048, 32, 8, 8192, 128_256), Shape("8B", 32, 4096, 32, 8, 14_336, 128_256))
TINY = (Shape("tiny", 2, 64, 2, 1, 128, 512),)


def written(shape: Shape, folder: Path) -> Path:
    """A file of that shape with random weights in Q8_0, which shows errors that four bits would hide."""
    path = folder / f"{shape.name}.gguf"
    sizes = {name: size for name, size in shape._asdict().items() if name != "name"}
    shape_model(path, **sizes, context_length=POOL, quantisation=GGMLQuantizationType.Q8_0)
    return path


def logits(path: Path, placed: Placed) -> NDArray[np.float32]:
    """Those after each of a few tokens."""
    model = LlamaModel(str(path), placed=placed)
    context = Context(model, n_ctx=512, n_batch=64, n_seq=1, threads=8)
    count = 8
    context.tokens[:count], context.positions[:count] = range(300, 300 + count), range(count)
    context.sequences[:count], context.wants_output[:count] = 0, 1
    assert context.decode(count) == 0
    found = np.stack([context.logits(row).copy() for row in range(count)])
    context.close()
    model.close()
    return found


async def answered(engine: EngineProcess, prompt: str, options: Options) -> Finish:
    steps = [step async for step in engine.generate(Job(prompt=prompt, options=options))]
    assert isinstance(steps[-1], Finish)
    return steps[-1]


async def rate(engine: EngineProcess, options: Options) -> float:
    """Tokens a second of all streams together, the prompts not counted."""
    prompts = [words(30) for _ in range(STREAMS)]
    answers = await asyncio.gather(*(answered(engine, prompt, options) for prompt in prompts))
    return sum(answer.eval_tokens for answer in answers) / max(answer.eval_ns for answer in answers) * 1e9


async def engines(path: Path, placed: Placed) -> dict[str, Any]:
    """What engines do: one, then two on the same device."""
    spec = LoadSpec(path=str(path), num_ctx=4096, pool=POOL, parallel=STREAMS, placed=placed)
    before = await find_devices()
    engine = await start(spec)
    after = await find_devices()
    prompt = words(1024)
    read = await answered(engine, prompt, GREEDY)
    alone = await answered(engine, words(30), GREEDY)
    found = {
        "size_vram": engine.info.size_vram,
        "taken": sum(d.free for d in before.devices) - sum(d.free for d in after.devices),
        "prefill": read.prompt_tokens / read.prompt_ns * 1e9,
        "decode": alone.eval_tokens / alone.eval_ns * 1e9,
        "streams": await rate(engine, GREEDY),
        "streams, drawn": await rate(engine, DRAWN),
    }
    other = await start(spec)
    fresh = words(200)  # which neither has cached: both evaluate the same batches
    twins = await asyncio.gather(*(answered(one, fresh, GREEDY) for one in (engine, other)))
    found["two engines agree"] = twins[0].tokens == twins[1].tokens
    await engine.close()
    await other.close()
    return found


def limits(path: Path, device: str) -> dict[str, float]:
    """What libllama alone does: tokens a second."""
    with bare(str(path), pool=POOL, device=device) as limit:
        prompt = words(1024)
        return {
            "prefill": limit.tokens(prompt) / limit.first(prompt),
            "decode": limit.decode(words(30), TOKENS),
            "streams": limit.decode(words(30), TOKENS, STREAMS),
        }


def checked(path: Path, device: str) -> dict[str, Any]:
    placed = Placed(devices=(device,), split=(999,))
    host, there = logits(path, Placed()), logits(path, placed)
    limit, found = limits(path, device), asyncio.run(engines(path, placed))
    return {
        "error of logits": float(np.mean((there - host) ** 2) / np.var(host)),
        "libllama": limit,
        "puna": found,
        "ratios": {name: found[name] / most for name, most in limit.items()},
        "drawing's share": 1 - found["streams, drawn"] / found["streams"],
    }


@contextmanager
def timed(report: dict[str, Any]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    report["seconds"] = time.perf_counter() - began


def main() -> None:
    dry = "--dry" in sys.argv[1:]
    devices = asyncio.run(find_devices())
    if not (dry or devices.devices):
        sys.exit(devices.problem or "libllama was compiled for no GPU (docs/gpu.md says how it is)")
    device = "CPU" if dry else devices.devices[0].name
    report: dict[str, Any] = {"device": device, "build": build()}
    with timed(report), TemporaryDirectory() as folder:
        for shape in TINY if dry else SHAPES:
            path = written(shape, Path(folder))
            report[shape.name] = checked(path, device)
            path.unlink()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
