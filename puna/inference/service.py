"""Serves a request with a model: check, lease, compose, stream."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import lru_cache, partial
from time import perf_counter_ns
from typing import Any, NamedTuple

from msgspec.structs import asdict, replace

from puna.access import caller
from puna.chat import MEDIA_MARKER
from puna.errors import PromptTooLong
from puna.inference.ahead import Checked, check_ahead
from puna.inference.answers import Reading
from puna.inference.job import exchange_for, grammar_of, job_for, routing_key, think_resolved
from puna.inference.metered import metered
from puna.inference.observer import Observer
from puna.inference.prompts import Composed, compose_prompt, media_tokens, warm
from puna.inference.ranking import RankInput, check_rank, rank
from puna.inference.requests import (
    Answer,
    ChatInput,
    Embedded,
    EmbedInput,
    GenerateInput,
    Rendered,
    Summary,
)
from puna.inference.retry import retried_answer, retried_once
from puna.inference.support import check_chat, check_embed, check_generate, check_vision_or_audio
from puna.inference.trace import Trace
from puna.library import Library, Model
from puna.options import Options
from puna.scheduling import Lease, Scheduler
from puna.types import Begun, Delta, Engine, Job, Ranking, Turn

_log = logging.getLogger(__name__)
_DEFAULTS = Options()
_MIN_VISION_CONTEXT = 2048
"""Least context of a model that takes pictures (Ollama server/sched.go)."""


class Inference:
    """Answers requests with the models of `library`, which `scheduler` loads.

    Invalid requests raise a PunaError before an answer's first event.
    """

    def __init__(
        self,
        library: Library,
        scheduler: Scheduler,
        observer: Observer | None = None,
        *,
        go_first: bool | None = None,
    ) -> None:
        """`go_first`: whether a model's Go template comes before the Jinja template in its GGUF file."""
        self._library = library
        self._go_first = go_first
        self._scheduler = scheduler
        self._observer = observer or Observer()

    async def warm(self) -> None:
        """Import modules that the first request needs."""
        await asyncio.to_thread(warm)

    async def load(self, request: ChatInput | GenerateInput) -> None:
        """Load the model that could answer `request`."""
        model = await self._open(request.model, partial(_check, request))
        async with self._scheduler.lease(
            model, _options(model, request.options), request.keep_alive, turn=_turn(request)
        ):
            pass

    async def unload(self, name: str) -> None:
        """Unload the model `name` as soon as the answers on it have ended."""
        await self._scheduler.unload(await self._open(name))

    @retried_once
    async def render(self, request: ChatInput | GenerateInput) -> Rendered:
        """The prompt that the model would get."""
        async with self._prepared(request) as prepared:
            return Rendered(prepared.composed.text, len(prepared.composed.images))

    def chat(self, request: ChatInput) -> Answer:
        """The next message of a conversation."""
        return self._answer(request)

    def generate(self, request: GenerateInput) -> Answer:
        """The answer to one prompt."""
        return self._answer(request)

    def _answer(self, given: ChatInput | GenerateInput) -> Answer:
        return retried_answer(partial(self._attempt, given, perf_counter_ns()))

    async def _attempt(self, given: ChatInput | GenerateInput, started: int) -> Answer:
        trace = Trace(given.model)
        async with self._prepared(given) as prepared:
            request, model, lease = prepared.request, prepared.model, prepared.lease
            trace.leased(lease.load_ns, prepared.composed.text, len(prepared.composed.images))
            raw = isinstance(request, GenerateInput) and request.raw
            job, reading = await prepared.job()
            first_ns = 0
            async with aclosing(metered(lease.engine.generate(job))) as steps:
                async for step in steps:
                    if isinstance(step, Begun):
                        trace.known(step)
                        yield step
                    elif isinstance(step, Delta):
                        if not first_ns:
                            first_ns = perf_counter_ns() - started
                            trace.spoke()
                        for piece in reading.pieces(step):
                            yield piece
                    else:
                        for piece in reading.rest(cut=step.reason != "stop" or bool(step.stop)):
                            yield piece
                        finish: dict[str, Any] = asdict(step)
                        finish["truncated"] |= prepared.composed.truncated
                        if raw:
                            finish["tokens"] = []
                        summary = Summary(
                            **finish,
                            total_ns=perf_counter_ns() - started,
                            load_ns=lease.load_ns,
                            reasoning_tokens=reading.reasoning,
                        )
                        if summary.truncated:
                            _log.warning(
                                "the prompt for %s did not fit in its context and was cut to %d tokens",
                                model.name.display(),
                                summary.prompt_tokens,
                            )
                        self._observer.answered(model.name.display(), summary, first_ns)
                        trace.ended(summary)
                        yield summary

    @asynccontextmanager
    async def _prepared(self, request: ChatInput | GenerateInput) -> AsyncGenerator[_Prepared, None]:
        """Lease the model and compose the prompt. All checks that need no engine come before the lease."""
        model = await self._open(request.model, partial(_check, request))
        options = _options(model, request.options)
        request = think_resolved(request, model)
        checked = Checked()
        check, turn = partial(check_ahead, request, model, checked), _turn(request)
        async with self._scheduler.lease(
            model, options, request.keep_alive, turn=turn, check=check, prompt=partial(routing_key, request)
        ) as lease:
            made = await compose_prompt(request, model, lease.engine, options, checked.media)
            yield _Prepared(request, model, options, lease, made, checked)

    @retried_once
    async def rank(self, request: RankInput) -> Ranking:
        """A score for each document, in the documents' order."""
        model = await self._open(request.model, partial(check_rank, request))
        options = _options(model, request.options)
        async with self._scheduler.lease(model, options, request.keep_alive, turn=_turn(request)) as lease:
            ranking = await rank(request, model, lease.engine)
            caller().spend(ranking.tokens)
            self._observer.embedded(model.name.display(), ranking.tokens)
            return ranking

    async def check_vision_or_audio(self, name: str) -> None:
        """Raises BadRequest, NotFound unless the model `name` reads images, or hears."""
        await self._open(name, partial(check_vision_or_audio, name))

    @retried_once
    async def count(self, request: ChatInput) -> int:
        """Tokens of the whole prompt that `chat` would make."""
        async with self._prepared(replace(request, truncate=False)) as prepared:
            made, engine = prepared.composed, prepared.lease.engine
            tokens = await engine.tokenize(made.text.replace(MEDIA_MARKER, ""))
            sizes = await media_tokens(made.images, engine, prepared.checked.media, sys.maxsize)
            return len(tokens) + sum(sizes)

    @retried_once
    async def tokenize(
        self, name: str, text: str, *, add_special: bool = True, keep_alive: float | None = None
    ) -> list[int]:
        """Token ids of `text` in the vocabulary of the model `name`, as a prompt or as a part of one."""
        async with self._leased(name, keep_alive) as engine:
            return await engine.tokenize(text, add_bos=add_special)

    @retried_once
    async def detokenize(self, name: str, tokens: list[int], *, keep_alive: float | None = None) -> str:
        """The text of `tokens`, with special tokens. Raises BadRequest for an unknown id."""
        async with self._leased(name, keep_alive) as engine:
            return await engine.detokenize(tokens)

    @asynccontextmanager
    async def _leased(self, name: str, keep_alive: float | None) -> AsyncGenerator[Engine, None]:
        model = await self._open(name)
        async with self._scheduler.lease(
            model, _options(model, {}), keep_alive, turn=Turn(caller().user)
        ) as lease:
            yield lease.engine

    @retried_once
    async def embed(self, request: EmbedInput) -> Embedded:
        """Vectors for texts, each of length 1 (but see `EmbedInput.legacy`)."""
        started = perf_counter_ns()
        model = await self._open(request.model, partial(check_embed, request))
        options = _options(model, request.options)
        if request.texts and request.options.get("num_ctx") == 0:
            raise PromptTooLong("input after truncation exceeds maximum context length")
        async with self._scheduler.lease(model, options, request.keep_alive, turn=_turn(request)) as lease:
            if not request.texts:
                return Embedded(vectors=[])
            result = await lease.engine.embed(
                request.texts,
                truncate=request.truncate,
                limit=options.num_ctx,
                normalize=not (request.legacy and model.embeds_unnormalized),
            )
            caller().spend(result.tokens)
            self._observer.embedded(model.name.display(), result.tokens)
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
        caller().check_model(name)

        def read() -> Model:
            model = dataclasses.replace(self._library.open(name), go_first=self._go_first)
            if check:
                check(model)
            return model

        # In a thread, because the first read of a model parses its GGUF header.
        return await asyncio.to_thread(read)


class _Prepared(NamedTuple):
    """A request whose model is in memory."""

    request: ChatInput | GenerateInput
    model: Model
    options: Options
    lease: Lease
    composed: Composed
    checked: Checked

    async def job(self) -> tuple[Job, Reading]:
        """The engine's job, and the answer's parser."""
        exchange = exchange_for(self.request, self.model, self.composed)
        grammar = self.checked.grammar or await grammar_of(exchange)
        media = await self.checked.media.decode(self.composed.images)
        return job_for(self.request, self.options, self.composed, exchange, grammar, media)


def shortened(vector: list[float], dimensions: int) -> list[float]:
    """The first `dimensions` numbers of `vector`, scaled to length 1 again."""
    if dimensions >= len(vector):
        return vector
    cut = vector[:dimensions]
    length = math.sqrt(sum(number * number for number in cut)) or 1.0
    return [number / length for number in cut]


def _check(request: ChatInput | GenerateInput, model: Model) -> None:
    if isinstance(request, ChatInput):
        check_chat(request, model)
    else:
        check_generate(request, model)


def _turn(request: ChatInput | GenerateInput | EmbedInput | RankInput) -> Turn:
    return Turn(caller().user, request.priority)


def _options(model: Model, given: dict[str, Any]) -> Options:
    options, _ = _DEFAULTS.override(model.parameters)
    options, unknown = options.override(given)
    if 0 < options.num_ctx < _MIN_VISION_CONTEXT and model.projectors:
        options = replace(options, num_ctx=_MIN_VISION_CONTEXT)
    for name in unknown:
        _warn_of_option(name)
    return options


@lru_cache(maxsize=256)
def _warn_of_option(name: str) -> None:
    """Once for each name, not for each request."""
    _log.warning('invalid option provided: "%s"', name)
