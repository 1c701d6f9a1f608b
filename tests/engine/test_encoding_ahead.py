"""Which pictures are encoded while the text before them is evaluated, and how often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from puna.engine.intake import Intake
from puna.engine.libllama import Context, LlamaModel
from puna.engine.libllama.vision import Projector
from puna.engine.loop import BatchLoop
from puna.engine.media import EncoderCache
from puna.engine.memory import spare_slots
from puna.engine.messages import Event, Finished, Generate
from puna.types import Image
from tests.engine.asking import job
from tests.vision_models import ROWS, WIDTH, vision_model

SIGHT = "<__media__>"


def noise(seed: int) -> Image:
    return Image(60, 40, np.random.default_rng(seed).integers(0, 256, 60 * 40 * 3, np.uint8).tobytes())


@pytest.mark.parametrize("kept", [0, 1, 2, 8])
def test_each_picture_is_encoded_once_however_few_are_kept(tmp_path: Path, kept: int) -> None:
    path, sight = vision_model(tmp_path)
    model, events, posted = LlamaModel(str(path)), list[Event](), SimpleQueue[Callable[[], None]]()
    context = Context(model, n_ctx=2048, n_batch=96, n_seq=3 + spare_slots(model), threads=1)
    projector = Projector(str(sight), model, threads=1, device="", max_tokens=1000)
    limit = max(1, kept * ROWS * WIDTH * 4)
    encoder_cache = EncoderCache(projector, n_vocab=model.n_vocab, limit=limit, post=posted.put)
    loop = BatchLoop(
        model, context, slots=3, parallel=2, cache=1 << 20, emit=events.append, encoder_cache=encoder_cache
    )
    intake = Intake(model, encoder_cache, num_ctx=1024)
    for request, pictures in enumerate(([1, 2, 3], [4, 5])):
        asked = job("word " * 80 + SIGHT * len(pictures), media=tuple(map(noise, pictures)), num_predict=1)
        loop.submit(intake.sequence(Generate(request, asked)))
    while loop.busy or encoder_cache.encoding:
        if encoder_cache.encoding:
            posted.get(timeout=60)()
        loop.step()
    ended = {event.request: event.finish.encoded for event in events if isinstance(event, Finished)}
    assert ended == {0: 3, 1: 2}
