"""The one place where a request meets a model: check, lease, compose, stream."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import lru_cache, partial
from time import perf_counter_ns
from typing import Any

from puna.inference.abilities import check_chat, check_embed, check_generate
from puna.inference.prompts import chat_prompt, generate_prompt, warm
from puna.inference.requests import ChatRequest, Embedded, EmbedRequest, GenerateRequest, Piece, Summary
from puna.library import Library, Model
from puna.scheduling import Scheduler
from puna.types import Delta, Engine, Job, Options

_log = logging.getLogger(__name__)
_DEFAULTS = Options()

Answer = AsyncGenerator[Piece | Summary, None]


class Inference:
    """Answers requests with the models of `library`, run by `scheduler`.

    An answer is any number of Piece and then one Summary. Everything that can be refused is refused
    before the first item, as a PunaError. Closing an answer early cancels it within one step.
    """

    def __init__(self, library: Library, scheduler: Scheduler) -> None:
        self._library = library
        self._scheduler = scheduler

    async def warm(self) -> None:
        """Do ahead what the first request would wait for."""
        await asyncio.to_thread(warm)

    def chat(self, request: ChatRequest) -> Answer:
        """The next message of a conversation."""
        compose = partial(chat_prompt, request) if request.messages else None
        return self._answer(request, partial(check_chat, request), compose)

    def generate(self, request: GenerateRequest) -> Answer:
        """The answer to one prompt."""
        compose = partial(generate_prompt, request) if request.prompt else None
        return self._answer(request, partial(check_generate, request), compose)

    async def _answer(
        self,
        request: ChatRequest | GenerateRequest,
        check: Callable[[Model], None],
        compose: Callable[[Model, Engine, Options], Awaitable[str | list[int]]] | None,
    ) -> Answer:
        started = perf_counter_ns()
        if compose is None and request.keep_alive == 0:
            await self._scheduler.unload(await self._open(request.model))
            yield Summary(reason="unload")
            return
        model = await self._open(request.model, check)
        options = _options(model, request.options)
        async with self._scheduler.lease(model, options, request.keep_alive) as lease:
            if compose is None:
                yield Summary(reason="load")
                return
            raw = isinstance(request, GenerateRequest) and request.raw
            job = Job(
                prompt=await compose(model, lease.engine, options),
                options=options,
                grammar=request.grammar,
                truncate=request.truncate,
                shift=request.shift,
            )
            async with aclosing(lease.engine.generate(job)) as steps:
                async for step in steps:
                    if isinstance(step, Delta):
                        yield Piece(step.text)
                    else:
                        yield Summary(
                            reason=step.reason,
                            total_ns=perf_counter_ns() - started,
                            load_ns=lease.load_ns,
                            prompt_tokens=step.prompt_tokens,
                            prompt_ns=step.prompt_ns,
                            eval_tokens=step.eval_tokens,
                            eval_ns=step.eval_ns,
                            context=[] if raw else step.tokens,
                        )

    async def embed(self, request: EmbedRequest) -> Embedded:
        """Vectors for texts, each of length 1."""
        started = perf_counter_ns()
        model = await self._open(request.model, partial(check_embed, request))
        options = _options(model, request.options)
        async with self._scheduler.lease(model, options, request.keep_alive) as lease:
            if not request.texts:
                return Embedded(vectors=[])
            result = await lease.engine.embed(request.texts, truncate=request.truncate)
            vectors = result.vectors
            if request.dimensions > 0:
                vectors = [shortened(vector, request.dimensions) for vector in vectors]
            return Embedded(
                vectors=vectors,
                tokens=result.tokens,
                total_ns=perf_counter_ns() - started,
                load_ns=lease.load_ns,
            )

    async def _open(self, name: str, check: Callable[[Model], None] | None = None) -> Model:
        def read() -> Model:
            model = self._library.open(name)
            if check:
                check(model)
            return model

        # In a thread, for the first look at a model reads its GGUF header.
        return await asyncio.to_thread(read)


def shortened(vector: list[float], dimensions: int) -> list[float]:
    """The first `dimensions` numbers of `vector`, scaled to length 1 again."""
    if dimensions >= len(vector):
        return vector
    cut = vector[:dimensions]
    length = math.sqrt(sum(number * number for number in cut)) or 1.0
    return [number / length for number in cut]


def _options(model: Model, given: dict[str, Any]) -> Options:
    options, _ = _DEFAULTS.merged(model.parameters)
    options, unknown = options.merged(given)
    for name in unknown:
        _warn_of_option(name)
    return options


@lru_cache(maxsize=256)
def _warn_of_option(name: str) -> None:
    """Said once a name, not once a request."""
    _log.warning('invalid option provided: "%s"', name)
