"""libllama's context: the KV pool, and the batch that it evaluates."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama.model import LlamaModel
from puna.engine.libllama.sampler import Sampler
from puna.errors import LoadFailed, NotNumbers
from puna.options import KVCacheType

_TYPES: dict[KVCacheType, int] = {
    "f16": C.GGML_TYPE_F16,
    "bf16": 30,  # ggml.h, GGML_TYPE_BF16; llama_cpp does not name it
    "f32": C.GGML_TYPE_F32,
    "q8_0": C.GGML_TYPE_Q8_0,
    "q4_0": C.GGML_TYPE_Q4_0,
}

POOL_FULL = 1
"""The status of `Context.decode` when the pool has no room: nothing has changed."""

_NO_MEMORY = -2
"""llama_decode's status after a failed allocation (llama-context.cpp)."""

_PARTIAL = C.llama_state_seq_flags(C.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY)


class Context:
    """A KV pool shared by numbered sequences, and the batch that it evaluates.

    n_ctx: cells of the pool. n_batch: most rows of a batch. n_seq: sequence ids are 0 to n_seq - 1.
    """

    def __init__(
        self,
        model: LlamaModel,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq: int,
        threads: int,
        embeddings: bool = False,
        ranking: bool = False,
        kv_cache_type: KVCacheType = "f16",
        flash_attention: bool | None = None,
        swa_full: bool = False,
        head_outputs: int = 0,
        rollback: int = 0,
    ) -> None:
        """`swa_full`: sliding windows keep all cells, so that every sequence can be cut anywhere.

        `rollback`: most tokens that can be cut from the end of a recurrent sequence.

        `head_outputs`: if not 0, only the MTP layer is evaluated, with outputs of at most so many rows.
        """
        params = C.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = n_batch
        params.n_ubatch = n_batch
        params.n_seq_max = n_seq
        params.n_threads = threads
        params.n_threads_batch = threads
        params.kv_unified = True
        # Flash attention skips cells of other sequences, so that retained ones do not slow down decoding.
        params.flash_attn_type = {
            None: C.LLAMA_FLASH_ATTN_TYPE_AUTO,
            True: C.LLAMA_FLASH_ATTN_TYPE_ENABLED,
            False: C.LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }[flash_attention]
        params.type_k = params.type_v = _TYPES[kv_cache_type]
        params.swa_full = swa_full
        params.embeddings = embeddings
        if ranking:
            # Older rerankers' files lack the pooling type.
            params.pooling_type = C.LLAMA_POOLING_TYPE_RANK
        if head_outputs:
            params.ctx_type = C.LLAMA_CONTEXT_TYPE_MTP
            params.n_outputs_max = head_outputs
        # libllama aborts if a batch does not have more rows than states to keep.
        params.n_rs_seq = max(0, min(rollback, n_batch - 2))
        params.no_perf = True
        handle = C.llama_init_from_model(model.handle, params)
        if not handle:
            raise LoadFailed(
                f"unable to create a context of {n_ctx} tokens in {kv_cache_type}: {model.log.last_error}"
            )
        self.handle = handle
        count = len(model.adapters)
        adapters = (C.llama_adapter_lora_p_ctypes * count)(*model.adapters)
        C.llama_set_adapters_lora(handle, adapters, count, (ctypes.c_float * count)(*[1.0] * count))
        self.n_ctx = C.llama_n_ctx(handle)
        self.n_batch = n_batch
        self.n_seq = n_seq
        self.rollback: int = C.llama_n_rs_seq(handle)
        """Most tokens that `cut` can remove from a recurrent sequence, once after each evaluation of them.

        libllama keeps the states of so many of a sequence's last rows in a batch. It may lose them if it
        divides a batch of several sequences. 0 for architectures without this.
        """
        self.pooling = C.llama_pooling_type(handle)
        self.ranks = self.pooling == C.LLAMA_POOLING_TYPE_RANK
        # None for models without memory between evaluations; libllama accepts that.
        self._memory: Any = C.llama_get_memory(handle)
        self._drawing = model.drawing
        self._threads = threads
        self._logits_type = ctypes.c_float * model.n_vocab
        self.width = model.n_labels if self.ranks else model.n_embd
        """Length of an embedding or a hidden state."""
        self._encode = model.has_encoder_only
        self._make_batch(n_batch)

    def _make_batch(self, size: int) -> None:
        self.tokens = np.zeros(size, np.int32)
        self.positions = np.zeros(size, np.int32)
        self.sequences = np.zeros(size, np.int32)
        self.wants_output = np.zeros(size, np.int8)
        counts = np.ones(size, np.int32)
        pointers = self.sequences.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self._batch_arrays = (counts, pointers)

        batch: Any = C.llama_batch()
        batch.token = _pointer(self.tokens, ctypes.c_int32)
        batch.pos = _pointer(self.positions, ctypes.c_int32)
        batch.n_seq_id = _pointer(counts, ctypes.c_int32)
        batch.seq_id = ctypes.cast(pointers.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32)))
        batch.logits = _pointer(self.wants_output, ctypes.c_int8)
        self._batch = batch

    def decode(self, count: int) -> int:
        """Evaluate the first `count` rows of the batch arrays.

        Returns 0, POOL_FULL, or libllama's status of a fatal error. Raises MemoryError.
        """
        self._batch.n_tokens = count
        evaluate = C.llama_encode if self._encode else C.llama_decode
        return _check_status(evaluate(self.handle, self._batch))

    def decode_rows(
        self,
        vectors: NDArray[np.float32],
        positions: NDArray[np.int32],
        sequence: int,
        *,
        causal: bool,
        output: bool,
    ) -> tuple[int, int]:
        """Evaluate `vectors` (rows x n_embd_inp) of one sequence instead of tokens.

        positions: sections x rows, with four sections for models with two-dimensional positions, else one.
        causal: rows attend only to those before them; otherwise all must fit in one batch. output: compute
        the last row's logits. Returns the status of `decode`, and that row's index for `logits`. If the pool
        is full, some rows may be evaluated. Raises MemoryError.
        """
        status = last = 0
        C.llama_set_causal_attn(self.handle, causal)
        for at in range(0, len(vectors), self.n_batch):
            part = np.ascontiguousarray(vectors[at : at + self.n_batch])
            part_positions = np.ascontiguousarray(positions[:, at : at + self.n_batch])
            size = len(part)
            last = size - 1
            self.sequences[:size] = sequence
            self.wants_output[:size] = 0
            self.wants_output[last] = output and at + size == len(vectors)
            batch: Any = C.llama_batch()
            batch.n_tokens = size
            batch.embd = _pointer(part, ctypes.c_float)
            batch.pos = _pointer(part_positions, ctypes.c_int32)
            batch.n_seq_id, batch.seq_id = self._batch.n_seq_id, self._batch.seq_id
            batch.logits = self._batch.logits
            status = _check_status(C.llama_decode(self.handle, batch))
            if status:
                break
        C.llama_set_causal_attn(self.handle, True)
        return status, last

    def draw_ahead(self, rows: Sequence[tuple[Sampler, int]]) -> None:
        """Draw the next tokens of all samplers in one native call, each from its row of the batch.

        Nothing is drawn from a row with NaN logits.
        """
        draws = [
            sampler.draws.set_logits(self._address(row)) for sampler, row in rows if sampler.draws is not None
        ]
        if self._drawing is None or not draws:
            return
        self._drawing.draw(draws, self._threads)
        for (sampler, _), draw in zip(rows, draws, strict=True):
            sampler.drawn = draw.token if draw.token >= 0 else None

    def logits(self, row: int, *, checked: bool = False) -> NDArray[np.float32]:
        """Logits of a batch row whose output was requested. Raises NotNumbers for NaN, unless `checked`."""
        # np.ctypeslib.as_array takes 70 µs, a fiftieth of a small model's token.
        logits: Any = self._logits_type.from_address(self._address(row))
        values = np.frombuffer(logits, np.float32)
        # The maximum is NaN if any logit is. One pass takes 15 µs for the largest vocabularies.
        if not checked and not np.isfinite(values.max()):
            raise NotNumbers
        return values

    def _address(self, row: int) -> int:
        pointer: Any = C.llama_get_logits_ith(self.handle, row)
        return ctypes.addressof(pointer.contents)

    def embedding(self, sequence: int, row: int) -> NDArray[np.float32]:
        """The pooled vector of a sequence, or that of row `row` if the model does not pool.

        A reranker's vector has a value for each of its labels. Raises NotNumbers.
        """
        if self.pooling == C.LLAMA_POOLING_TYPE_NONE:
            pointer = C.llama_get_embeddings_ith(self.handle, row)
        else:
            pointer = C.llama_get_embeddings_seq(self.handle, sequence)
        values = np.ctypeslib.as_array(pointer, (self.width,))
        if not np.isfinite(values).all():
            raise NotNumbers
        return values

    def share(self, source: int, target: int, start: int, end: int) -> None:
        """Add the cells of `source` at positions `start` to `end` to `target`, without a copy."""
        C.llama_memory_seq_cp(self._memory, source, target, start, end)

    def first_position(self, sequence: int) -> int:
        """The first position from which a sequence's cells are complete in all layers; -1 if none."""
        return C.llama_memory_seq_pos_min(self._memory, sequence)

    def cut(self, sequence: int, length: int) -> bool:
        """Cut a sequence to its first `length` positions; False if this memory cannot."""
        return bool(C.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def free(self, sequence: int) -> None:
        """Free a sequence's cells."""
        C.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def saved_size(self, sequence: int) -> int:
        """Bytes that `save` of a sequence takes."""
        return C.llama_state_seq_get_size(self.handle, C.llama_seq_id(sequence))

    def save(self, sequence: int, size: int) -> NDArray[np.uint8]:
        """A copy of a sequence's whole memory, of `saved_size` bytes."""
        data = np.empty(size, np.uint8)
        C.llama_state_seq_get_data(self.handle, _bytes(data), size, C.llama_seq_id(sequence))
        return data

    def restore(self, sequence: int, data: NDArray[np.uint8]) -> bool:
        """Replace a sequence's memory by a saved copy; False if the pool has no room."""
        return (
            C.llama_state_seq_set_data(self.handle, _bytes(data), data.nbytes, C.llama_seq_id(sequence)) > 0
        )

    def snapshot(self, sequence: int) -> NDArray[np.uint8]:
        """A copy of the part of a sequence that cannot be cut: its window, or its recurrent state."""
        data = np.empty(self.snapshot_size(sequence), np.uint8)
        slot = C.llama_seq_id(sequence)
        C.llama_state_seq_get_data_ext(self.handle, _bytes(data), data.nbytes, slot, _PARTIAL)
        return data

    def snapshot_size(self, sequence: int) -> int:
        """Bytes that `snapshot` of a sequence takes."""
        return C.llama_state_seq_get_size_ext(self.handle, C.llama_seq_id(sequence), _PARTIAL)

    def restore_snapshot(self, sequence: int, data: NDArray[np.uint8]) -> bool:
        """Restore a snapshot of that part; False if the pool has no room."""
        slot = C.llama_seq_id(sequence)
        return C.llama_state_seq_set_data_ext(self.handle, _bytes(data), data.nbytes, slot, _PARTIAL) > 0

    def synchronize(self) -> None:
        """Wait for the evaluation, which devices continue after `decode` has returned."""
        C.llama_synchronize(self.handle)

    def clear(self) -> None:
        C.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        C.llama_free(self.handle)


def max_sequences() -> int:
    """The most sequence ids libllama allows in one context."""
    return C.llama_max_parallel_sequences()


def _check_status(status: int) -> int:
    if status == _NO_MEMORY:
        raise MemoryError
    return status


def _pointer(array: NDArray[Any], kind: type[Any]) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))


def _bytes(array: NDArray[np.uint8]) -> Any:
    return _pointer(array, ctypes.c_uint8)
