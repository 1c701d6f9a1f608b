"""The engine process: commands from standard input, events to standard output, one model between them.

A reader thread takes commands, answers what needs only the vocabulary, and prepares the rest; the main
thread runs the batch loop. When standard input closes, the server is gone and the process ends.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import msgspec
import psutil

from puna.engine import budget, embedder
from puna.engine.embedder import Embedder
from puna.engine.grammar import Grammars
from puna.engine.llama import Context, Model, Sampler, max_sequences
from puna.engine.loop import BatchLoop
from puna.engine.messages import (
    HEADER,
    Command,
    Detokenize,
    Embed,
    Event,
    Failed,
    Generate,
    Loaded,
    PlainText,
    Refused,
    Tokenize,
    Tokens,
    frame,
)
from puna.engine.sequence import Sequence
from puna.engine.text import TextStream
from puna.types import BadRequest, EngineInfo, LoadSpec, PunaError

_RETAINED_SLOTS = 16
"""Slots for finished sequences that are still in the pool, beside the running ones."""

_EMBEDDING_BATCH = 2048

_PAUSE = 0.02
"""Seconds without work after which nobody is likely to be just about to ask again."""


class Output:
    """Writes frames of events; called from both threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._encoder = msgspec.msgpack.Encoder()
        self._lock = threading.Lock()

    def send(self, events: list[Event]) -> None:
        data = frame(self._encoder.encode(events))
        with self._lock:
            self._stream.write(data)
            self._stream.flush()


class Runner:
    """A loaded model and its loop."""

    def __init__(self, spec: LoadSpec, output: Output, *, embedding: bool) -> None:
        self._output = output
        self._events: list[Event] = []
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        model = self._model = Model(
            spec.path,
            adapters=spec.adapters,
            num_gpu=spec.num_gpu,
            main_gpu=spec.main_gpu,
            use_mmap=spec.use_mmap,
        )
        threads = spec.num_thread or psutil.cpu_count(logical=False) or os.cpu_count() or 1
        self._num_ctx = min(spec.num_ctx, model.n_ctx_train or spec.num_ctx)
        self._loop: BatchLoop | Embedder
        if embedding:
            slots = min(64, max_sequences())
            n_batch = max(self._num_ctx, min(_EMBEDDING_BATCH, spec.pool))
            context = Context(
                model, n_ctx=n_batch, n_batch=n_batch, n_seq=slots, threads=threads, embeddings=True
            )
            self._loop = Embedder(model, context, slots=slots, emit=self._events.append)
        else:
            retained = _RETAINED_SLOTS if not model.recurrent else spec.parallel
            slots = min(spec.parallel + retained, max_sequences())
            parallel = min(spec.parallel, slots - 1) or 1
            n_batch = max(spec.num_batch, parallel + budget.TILE)
            context = Context(model, n_ctx=spec.pool, n_batch=n_batch, n_seq=slots, threads=threads)
            self._loop = BatchLoop(
                model,
                context,
                slots=slots,
                parallel=parallel,
                cache=spec.cache,
                emit=self._events.append,
            )
        self._grammars = Grammars(model)
        _warm_up(model, context)
        self.info = EngineInfo(
            num_ctx=min(self._num_ctx, context.n_ctx),
            embedding=embedding,
            size=psutil.Process().memory_info().rss,
            size_vram=0,
            n_embd=model.n_embd,
        )

    def serve(self, commands: BinaryIO) -> None:
        """Work until the server goes away."""
        threading.Thread(target=self._read, args=(commands,), daemon=True).start()
        while True:
            if not self._loop.busy:
                self._wait()()
            while not self._inbox.empty():
                self._inbox.get()()
            if self._loop.busy:
                self._loop.step()
            if self._events:
                self._output.send(self._events)
                self._events.clear()

    def _wait(self) -> Callable[[], None]:
        """The next piece of work; a pause in the work is used for what makes later requests quicker."""
        try:
            return self._inbox.get(timeout=_PAUSE)
        except queue.Empty:
            while self._inbox.empty() and self._loop.rest():
                pass
            return self._inbox.get()

    def _read(self, commands: BinaryIO) -> None:
        decoder = msgspec.msgpack.Decoder(Command)
        while header := commands.read(HEADER):
            command = decoder.decode(commands.read(int.from_bytes(header, "little")))
            try:
                self._handle(command)
            except BadRequest as error:
                self._output.send([Failed(command.request, str(error), "request")])
            except Exception as error:
                self._output.send([Failed(command.request, f"{type(error).__name__}: {error}")])
        # Nobody is left to answer: end at once, also in the middle of a step.
        os._exit(0)

    def _handle(self, command: Command) -> None:
        loop = self._loop
        if isinstance(command, Generate):
            if not isinstance(loop, BatchLoop):
                raise BadRequest("this model turns text into vectors and cannot generate")
            self._inbox.put(partial(loop.submit, self._prepare(command)))
        elif isinstance(command, Embed):
            if not isinstance(loop, Embedder):
                raise BadRequest("this model generates text and cannot embed")
            texts = embedder.prepare(
                self._model,
                command.request,
                command.texts,
                truncate=command.truncate,
                limit=self.info.num_ctx,
            )
            self._inbox.put(partial(loop.submit, texts))
        elif isinstance(command, Tokenize):
            tokens = self._tokenize(command.text, add_bos=command.add_bos)
            self._output.send([Tokens(command.request, tokens)])
        elif isinstance(command, Detokenize):
            text = self._model.detokenize(command.tokens)
            self._output.send([PlainText(command.request, text)])
        else:
            self._inbox.put(partial(loop.cancel, command.request))

    def _tokenize(self, text: str, *, add_bos: bool) -> list[int]:
        tokens = self._model.tokenize(text, add_special=False)
        if add_bos and self._model.adds_bos and tokens[:1] != [self._model.bos]:
            tokens.insert(0, self._model.bos)
        return tokens

    def _prepare(self, command: Generate) -> Sequence:
        job = command.job
        prompt = job.prompt
        tokens = self._tokenize(prompt, add_bos=job.add_bos) if isinstance(prompt, str) else prompt
        if any(not 0 <= token < self._model.n_vocab for token in tokens):
            raise BadRequest("context holds a token that this model does not have")
        if not tokens:
            tokens = [max(self._model.bos, 0)]
        num_ctx = max(min(job.options.num_ctx or self.info.num_ctx, self.info.num_ctx), 4)
        begins = self._model.adds_bos and tokens[0] == self._model.bos
        tokens = budget.fit_prompt(tokens, job, num_ctx=num_ctx, begins=begins)
        matcher = self._grammars.matcher(job.grammar) if job.grammar is not None else None
        sampler = Sampler(self._model, job.options, context=num_ctx)
        if sampler.penalised:
            for token in tokens[-num_ctx:]:
                sampler.accept(token)
        return Sequence(
            request=command.request,
            job=job,
            tokens=list(tokens),
            prompt_tokens=len(tokens),
            num_ctx=num_ctx,
            begins=begins,
            sampler=sampler,
            matcher=matcher,
            text=TextStream(job.options.stop),
            history=list(tokens),
        )


def _warm_up(model: Model, context: Context) -> None:
    """One evaluation reads the weights from disk, so that the first request does not."""
    context.tokens[0] = max(model.bos, 0)
    context.positions[0] = context.sequences[0] = 0
    context.wants_output[0] = 1
    context.decode(1)
    context.clear()


def main() -> None:
    """Run as `python -m puna.engine`: the first frame on standard input is the LoadSpec."""
    output = Output(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # whatever else prints must not disturb the frames
    commands = sys.stdin.buffer
    spec = msgspec.msgpack.decode(
        commands.read(int.from_bytes(commands.read(HEADER), "little")), type=LoadSpec
    )
    try:
        runner = Runner(spec, output, embedding=spec.embedding)
    except PunaError as error:
        output.send([Refused(str(error))])
        return
    output.send([Loaded(runner.info)])
    try:
        runner.serve(commands)
    except BaseException:
        # The reader thread blocks on standard input, which an orderly interpreter exit would wait for.
        traceback.print_exc()
        os._exit(1)
