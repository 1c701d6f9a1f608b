"""The engine process of one model: commands come in by standard input, events go out by standard output.

A reader thread takes commands, answers those that need only the vocabulary, and prepares the others. Long
preparation has its own thread. The main thread runs the batch loop. When standard input closes, the
server is gone and the process ends.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import time
from contextlib import suppress
from functools import partial
from typing import BinaryIO

import msgspec
import psutil

from puna.engine import loop, memory, opening
from puna.engine.commands import Commands
from puna.engine.drafts import MtpHead, Proposer, has_head, load_draft, open_head
from puna.engine.embedder import Embedder
from puna.engine.intake import Intake
from puna.engine.libllama import LlamaModel
from puna.engine.libllama.kernels import start_kernels, unfaulted_bytes
from puna.engine.loop import BatchLoop
from puna.engine.media import EncoderCache
from puna.engine.messages import (
    HEADER,
    Cancel,
    Command,
    Event,
    Loaded,
    Loading,
    LoadRefused,
    Ping,
    Pong,
    Starved,
    failure,
)
from puna.engine.model_disk import open_disk
from puna.engine.output import Output
from puna.engine.preparation import Preparation, Work, is_long
from puna.engine.repack_cache import RepackCache
from puna.engine.settling import settle
from puna.engine.vital import start_thread, vital
from puna.errors import PunaError
from puna.load import EngineInfo, LoadSpec
from puna.settings import Settings

_ENCODER_CACHE = 256 << 20
"""Bytes of encoded pictures and sounds, for further questions about them."""

_SHARE_OF_PICTURE = 4
"""Where the projector may choose a picture's size, it takes at most this part of the context."""

_PAUSE = 0.02
"""Seconds without work after which the next request is probably not imminent."""

_LONG_PAUSE = 1.0
"""Seconds after which a conversation probably waits for a person, not for an agent's tools."""

_CLOSE_TIMEOUT = 4.0
"""Seconds that an engine may take to write files at its end. The server waits a little longer."""


class ModelRunner:
    """A loaded model and its loop."""

    def __init__(self, spec: LoadSpec, output: Output, *, embedding: bool) -> None:
        self._output = output
        self._events: list[Event] = []
        self._inbox: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._repack_cache = RepackCache(spec)
        model = LlamaModel(
            spec.path,
            adapters=spec.adapters,
            repack_file=self._repack_cache.file,
            placed=spec.placed,
            use_mmap=spec.use_mmap,
            mtp=(mtp := has_head(spec)),
        )
        threads = spec.num_thread or opening.threads(model)
        longest = opening.longest(spec, model)
        self._loop: BatchLoop | Embedder
        self._writes_at_end = False
        """Retained sequences are written to files when the server goes away."""
        encoder_cache: EncoderCache | None = None
        proposer: Proposer | None = None
        vision = audio = False
        if embedding:
            shape = opening.shape(spec, model)
            context = opening.open_context(spec, model, shape, threads=threads)
            self._loop = Embedder(context, slots=shape.slots, emit=self._events.append)
        else:
            noncausal_rows = 0
            if spec.projector:
                from puna.engine.libllama.vision import Projector

                max_tokens = max(1, longest // _SHARE_OF_PICTURE)
                device = spec.placed.last
                projector = Projector(
                    spec.projector, model, threads=threads, device=device, max_tokens=max_tokens
                )
                noncausal_rows = projector.noncausal_rows
                vision, audio = projector.has_vision, projector.has_audio
                if vision or audio:
                    post = self._inbox.put
                    encoder_cache = EncoderCache(
                        projector, n_vocab=model.n_vocab, limit=_ENCODER_CACHE, post=post
                    )
            shape = opening.shape(spec, model, noncausal_rows=noncausal_rows)
            context = opening.open_context(spec, model, shape, threads=threads)
            if spec.draft and memory.of(model, context).max_rollback(1):
                proposer = load_draft(spec, model, slots=shape.parallel, threads=threads)
            elif mtp:
                proposer = MtpHead(model, context, open_head(spec, model, context, threads=threads))
            disk = open_disk(spec, model, context, self._inbox.put)
            self._writes_at_end = disk is not None
            self._loop = BatchLoop(
                model,
                context,
                slots=shape.slots,
                parallel=shape.parallel,
                cache=spec.cache,
                emit=self._events.append,
                encoder_cache=encoder_cache,
                disk=disk,
                proposer=proposer,
            )
        num_ctx = min(longest, context.n_ctx)
        draft_model = proposer.model if proposer and proposer.model is not model else None
        self._models = [model, *([draft_model] if draft_model else [])]
        for log in (each.log for each in self._models):
            log.starving = partial(output.send, [Starved()])
        took, covered = opening.warm_up(model, context)
        batch_invariant = covered and not spec.placed.devices
        intake = Intake(model, encoder_cache, num_ctx=num_ctx, batch_invariant=batch_invariant)
        self._commands = Commands(self._loop, model, intake, output, num_ctx=num_ctx)
        self._preparation = Preparation(self._prepare, self._deliver)
        # An upper bound: a token costs most in a batch of its own.
        self.longest = shape.n_batch * took
        """The longest step so far, in seconds."""
        devices = {name: model.buffers.on(name) for name in spec.placed.devices}
        if spec.projector and devices:
            devices[spec.placed.last] += model.buffers.projector
        if draft_model is not None and devices:
            devices[spec.placed.last] += draft_model.buffers.on(spec.placed.last)
        size_vram = sum(devices.values())
        self.info = EngineInfo(
            num_ctx=num_ctx,
            embedding=embedding,
            size=_size(spec, model, size_vram),
            size_vram=size_vram,
            devices=devices,
            n_embd=model.n_embd,
            vision=vision,
            audio=audio,
        )

    def serve(self, commands: BinaryIO) -> None:
        """Serve until the server goes away."""
        start_thread(partial(self._read, commands))
        start_thread(partial(settle, self._models, self._repack_cache))
        while True:
            if not self._loop.busy:
                self._wait()()
            while not self._inbox.empty():
                self._inbox.get()()
            if self._loop.busy:
                began = time.perf_counter()
                self._loop.step()
                self.longest = max(self.longest, time.perf_counter() - began)
            if self._events:
                self._output.send(self._events)
                self._events.clear()

    def _wait(self) -> Work:
        """Wait for work, and use the idle time for what makes later requests faster."""
        for pause, long in ((_PAUSE, False), (_LONG_PAUSE, True)):
            try:
                return self._inbox.get(timeout=pause)
            except queue.Empty:
                while self._inbox.empty() and self._loop.work_while_idle(long=long):
                    pass
        self._repack_cache.idle.set()
        return self._inbox.get()

    def _read(self, commands: BinaryIO) -> None:
        self._read_commands(commands)
        # The server has gone. Write retained sequences, but do not wait for a long step.
        if self._writes_at_end:
            self._inbox.put(self._end)
            time.sleep(_CLOSE_TIMEOUT)
        os._exit(0)

    def _end(self) -> None:
        self._loop.close()
        os._exit(0)

    def _read_commands(self, commands: BinaryIO) -> None:
        decoder = msgspec.msgpack.Decoder(Command | Ping)
        while header := commands.read(HEADER):
            command = decoder.decode(commands.read(int.from_bytes(header, "little")))
            if isinstance(command, Ping):
                self._inbox.put(lambda: self._output.send([Pong(self.longest)]))
            elif isinstance(command, Cancel):
                # Drop the request in preparation if it is still there, otherwise in the loop.
                if not self._preparation.cancel(command.request):
                    self._inbox.put(partial(self._loop.cancel, command.request))
            elif is_long(command):
                self._preparation.begin(command)
            elif work := self._prepare(command):
                self._inbox.put(work)

    def _deliver(self, request: int, work: Work, wanted: bool) -> None:
        def submit_and_cancel() -> None:
            work()
            self._loop.cancel(request)

        self._inbox.put(work if wanted else submit_and_cancel)

    def _prepare(self, command: Command) -> Work | None:
        """The loop's work for a command; None if there is none. Reports errors itself."""
        try:
            return self._commands.work(command)
        except Exception as error:
            self._output.send([failure(command.request, error)])
        return None


def _size(spec: LoadSpec, model: LlamaModel, size_vram: int) -> int:
    """Bytes as Ollama counts them: for a model entirely on devices, only those on devices."""
    if not spec.placed.devices:
        return psutil.Process().memory_info().rss + unfaulted_bytes()
    wholly = spec.placed.layers > model.n_layer and not spec.placed.overrides
    return size_vram if wholly else model.buffers.total


def _set_name(name: str) -> None:
    """Set the process's name, of at most 15 bytes, in process lists on Linux."""
    with suppress(OSError), open("/proc/self/comm", "w") as own:
        own.write(name)


def main() -> None:
    """Run as `python -m puna.engine`: the first frame on standard input is the LoadSpec.

    Until it comes, the process stands by.
    """
    _set_name("puna-standby")
    start_kernels()
    output = Output(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # Anything else that prints must not corrupt the frames.
    commands = sys.stdin.buffer
    header = commands.read(HEADER)
    if not header:
        return  # The server has gone, or does not need this process.
    spec = msgspec.msgpack.decode(commands.read(int.from_bytes(header, "little")), type=LoadSpec)
    output.send([Loading()])
    _set_name("puna-engine")
    settings = Settings.from_environment()
    if settings.log_level <= logging.DEBUG and not settings.log_json:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger(loop.__name__).setLevel(logging.DEBUG)
    # The reader thread blocks on standard input, which an orderly interpreter exit would wait for.
    with vital():
        try:
            runner = ModelRunner(spec, output, embedding=spec.embedding)
        except PunaError as error:
            output.send([LoadRefused(str(error), on_device=bool(spec.placed.devices))])
            return
        output.send([Loaded(runner.info, runner.longest)])
        runner.serve(commands)
