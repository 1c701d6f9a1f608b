"""libllama through llama-cpp-python's low-level bindings.

Everything here is a thin owner of one native object. Token ids are ints, text is bytes, logits are
float32 arrays that stay valid until the next decode.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, cast

import llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from puna.engine.foreign import language_model
from puna.engine.foreign.header import Header
from puna.engine.shortlist import WIDTH, shortlist
from puna.engine.wordpiece import Normalizer, WordPiece
from puna.types import BadRequest, LoadFailed, Options, PunaError

logger = logging.getLogger(__name__)

# Where ggml gives up it starts a debugger on itself first, and may wait for that for ever.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

_ERROR_LEVELS = (3, 4)  # GGML_LOG_LEVEL_WARN, GGML_LOG_LEVEL_ERROR
_WORDPIECE = C.LLAMA_VOCAB_TYPE_WPM
NO_REASON = "libllama gave no reason"
_ROWS_IN_MEMORY = 256 << 20  # bytes of a tensor that quantizing holds at once
_UNWRITABLE = ("basic_ios::clear: iostream error", "it cannot be written (is there room on the disk?)")
_QUANTIZED = "quantization is only supported for F16, BF16 and F32 models"
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Log:
    """Keeps libllama's last complaint, which explains a failed load, and passes complaints on."""

    def __init__(self, notice: Callable[[str], None] | None = None) -> None:
        """`notice` is called with every other message."""
        self.first_error = self.last_error = ""
        self._notice = notice
        self.callback = C.llama_log_callback(self._receive)
        C.llama_log_set(self.callback, ctypes.c_void_p(0))

    def forget(self) -> None:
        """What is complained of from now on has a cause of its own."""
        self.first_error = self.last_error = ""

    def _receive(self, level: int, text: bytes, _: ctypes.c_void_p) -> None:
        if level in _ERROR_LEVELS:
            message = text.decode("utf-8", "replace").strip()
            logger.log(logging.ERROR if level == 4 else logging.INFO, "%s", message)
            if level == 4:
                self.first_error = self.first_error or message
            if level == 4 and "failed to load model" not in message:
                self.last_error = message
        elif self._notice is not None:
            self._notice(text.decode("utf-8", "replace"))


class Model:
    """Weights and vocabulary of one GGUF file, and the LoRA adapters that its contexts lay over them."""

    def __init__(
        self,
        path: str,
        *,
        adapters: Sequence[str] = (),
        num_gpu: int = -1,
        use_mmap: bool | None = None,
        main_gpu: int | None = None,
    ) -> None:
        C.llama_backend_init()
        log = self.log = Log()
        params = C.llama_model_default_params()
        params.n_gpu_layers = num_gpu
        if main_gpu is not None:
            params.main_gpu = main_gpu
        if use_mmap is False:
            params.load_mode = C.LLAMA_LOAD_MODE_NONE
        try:
            with language_model(path) as readable:
                handle = C.llama_model_load_from_file(os.fsencode(readable), params)
        except OSError as error:
            raise LoadFailed(f"unable to load model: {error.strerror or error}") from error
        if not handle:
            raise LoadFailed(f"unable to load model: {log.last_error or NO_REASON}")
        self.handle = handle
        self.adapters = [self._load_adapter(adapter) for adapter in adapters]
        vocab = C.llama_model_get_vocab(handle)
        assert vocab is not None
        self.vocab = vocab
        self.n_vocab = C.llama_vocab_n_tokens(vocab)
        self.n_embd = C.llama_model_n_embd_out(handle)
        self.n_embd_inp = C.llama_model_n_embd_inp(handle)
        self.n_ctx_train = C.llama_model_n_ctx_train(handle)
        self.size = C.llama_model_size(handle)
        self.bos = cast(int, C.llama_vocab_bos(vocab))
        self.adds_bos = bool(C.llama_vocab_get_add_bos(vocab)) and self.bos >= 0
        self.sep = cast(int, C.llama_vocab_sep(vocab))
        self.adds_sep = bool(C.llama_vocab_get_add_sep(vocab)) and self.sep >= 0
        self.eos = cast(int, C.llama_vocab_eos(vocab))
        self.adds_eos = bool(C.llama_vocab_get_add_eos(vocab)) and self.eos >= 0
        self.n_labels = C.llama_model_n_cls_out(handle)
        self.has_encoder_only = bool(
            C.llama_model_has_encoder(handle) and not C.llama_model_has_decoder(handle)
        )
        self.n_swa = C.llama_model_n_swa(handle)
        self.recurrent = bool(C.llama_model_is_recurrent(handle) or C.llama_model_is_hybrid(handle))
        self._pieces: dict[int, bytes] = {}
        self._wordpiece = self._read_wordpiece() if C.llama_vocab_type(vocab) == _WORDPIECE else None
        self.ids = np.arange(self.n_vocab, dtype=np.int32)
        self.candidates = np.zeros(self.n_vocab, _CANDIDATE)

    @property
    def cuttable(self) -> bool:
        """Whether any tail of a sequence can be removed from memory and any head be shared."""
        return not self.recurrent and self.n_swa == 0

    def _load_adapter(self, path: str) -> Any:
        """An adapter is freed with its model."""
        self.log.forget()
        adapter = C.llama_adapter_lora_init(self.handle, path.encode())
        if not adapter:
            reason = self.log.last_error.rpartition("failed to apply lora adapter: ")[2]
            raise LoadFailed(f"unable to load adapter {path}: {reason or NO_REASON}")
        return adapter

    def _read_wordpiece(self) -> WordPiece:
        texts = (C.llama_vocab_get_text(self.vocab, token) for token in range(self.n_vocab))
        pieces = [(text or b"").decode("utf-8", "replace") for text in texts]
        return WordPiece(pieces, pieces.index("[UNK]") if "[UNK]" in pieces else 0, self._read_normalizer())

    def _read_normalizer(self) -> Normalizer | None:
        """What the file says of it; None if it says nothing."""
        key = "tokenizer.ggml.normalizer."
        texts = {field.name: self.metadata(key + field.name) for field in fields(Normalizer)}
        said = {name: text == "true" for name, text in texts.items() if text}
        # Accents go with capitals, unless it is said that they do not.
        said.setdefault("strip_accents", said.get("lowercase", True))
        return Normalizer(**said) if any(texts.values()) else None

    def metadata(self, key: str) -> str:
        """The text under a key of the file's metadata; empty when there is none."""
        size = C.llama_model_meta_val_str(self.handle, key.encode(), cast(Any, None), 0) + 1
        if size <= 0:
            return ""
        buffer = ctypes.create_string_buffer(size)
        C.llama_model_meta_val_str(self.handle, key.encode(), cast(Any, buffer), size)
        return buffer.value.decode("utf-8", "replace")

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool = True) -> list[int]:
        """Token ids of `text`; special tokens written in it are recognised, unless `parse_special` is false.

        `add_special` lets the vocabulary put its begin and end tokens around, as it wants them.
        """
        if self._wordpiece is not None:
            tokens = self._wordpiece.encode(text)
            return [self.bos, *tokens, self.sep] if add_special else tokens
        data = text.encode("utf-8", "surrogatepass")
        room = len(data) + 8
        buffer = (C.llama_token * room)()
        count = C.llama_tokenize(self.vocab, data, len(data), buffer, room, add_special, parse_special)
        if count < 0:
            buffer = (C.llama_token * -count)()
            count = C.llama_tokenize(self.vocab, data, len(data), buffer, -count, add_special, parse_special)
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; control tokens stand for none."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._to_piece(token, special=False)
        return known

    def _to_piece(self, token: int, *, special: bool) -> bytes:
        size = 128
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = C.llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
            if written >= 0:
                return buffer.raw[:written]
            size = -written

    def spell(self, token: int) -> bytes:
        """The bytes of a token as a person would write it, a control token's too."""
        return self._to_piece(token, special=True)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, special tokens written out; unknown ids are skipped."""
        known = (t for t in tokens if 0 <= t < self.n_vocab)
        return b"".join(map(self.spell, known)).decode("utf-8", "replace")

    def ends(self, token: int) -> bool:
        """Whether `token` ends a generation (EOS, EOT and their kin)."""
        return bool(C.llama_vocab_is_eog(self.vocab, token))

    def close(self) -> None:
        C.llama_model_free(self.handle)


class Context:
    """A KV pool shared by numbered sequences, and the batch that feeds it.

    n_ctx: cells in the pool. n_batch: most tokens in one decode. n_seq: sequence ids are 0..n_seq-1.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq: int,
        threads: int,
        embeddings: bool = False,
        ranking: bool = False,
    ) -> None:
        params = C.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = n_batch
        params.n_ubatch = n_batch
        params.n_seq_max = n_seq
        params.n_threads = threads
        params.n_threads_batch = threads
        params.kv_unified = True
        # Flash attention skips cells of other sequences, so that cached prefixes cost decoding nothing.
        params.flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_AUTO
        params.swa_full = False
        params.embeddings = embeddings
        if ranking:
            # Older files of rerankers do not say that they are.
            params.pooling_type = C.LLAMA_POOLING_TYPE_RANK
        params.no_perf = True
        handle = C.llama_init_from_model(model.handle, params)
        if not handle:
            raise LoadFailed(f"unable to create a context of {n_ctx} tokens: {model.log.last_error}")
        self.handle = handle
        count = len(model.adapters)
        adapters = (C.llama_adapter_lora_p_ctypes * count)(*model.adapters)
        C.llama_set_adapters_lora(handle, adapters, count, (ctypes.c_float * count)(*[1.0] * count))
        self.n_ctx = C.llama_n_ctx(handle)
        self.n_batch = n_batch
        self.pooling = C.llama_pooling_type(handle)
        self.ranks = self.pooling == C.LLAMA_POOLING_TYPE_RANK
        # None for models that keep nothing between evaluations; libllama accepts that.
        self._memory: Any = C.llama_get_memory(handle)
        self._logits_type = ctypes.c_float * model.n_vocab
        self._width = model.n_labels if self.ranks else model.n_embd
        self._encode = model.has_encoder_only
        self._make_batch(n_batch)

    def _make_batch(self, size: int) -> None:
        self.tokens = np.zeros(size, np.int32)
        self.positions = np.zeros(size, np.int32)
        self.sequences = np.zeros(size, np.int32)
        self.wants_output = np.zeros(size, np.int8)
        counts = np.ones(size, np.int32)
        pointers = self.sequences.ctypes.data + 4 * np.arange(size, dtype=np.uint64)
        self._keep = (counts, pointers)

        batch: Any = C.llama_batch()
        batch.token = _pointer(self.tokens, ctypes.c_int32)
        batch.pos = _pointer(self.positions, ctypes.c_int32)
        batch.n_seq_id = _pointer(counts, ctypes.c_int32)
        batch.seq_id = ctypes.cast(pointers.ctypes.data, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32)))
        batch.logits = _pointer(self.wants_output, ctypes.c_int8)
        self._batch = batch

    def decode(self, count: int) -> int:
        """Evaluate the first `count` rows of the batch arrays.

        0 done, 1 no room in the pool (nothing changed), anything else a fatal error.
        """
        self._batch.n_tokens = count
        if self._encode:
            return C.llama_encode(self.handle, self._batch)
        return C.llama_decode(self.handle, self._batch)

    def decode_rows(
        self,
        vectors: NDArray[np.float32],
        places: NDArray[np.int32],
        sequence: int,
        *,
        causal: bool,
        output: bool,
    ) -> tuple[int, int]:
        """Evaluate `vectors` (rows x n_embd_inp) of one sequence where tokens would stand otherwise.

        places: one position a row, or four for models that place rows in two dimensions (sections x rows).
        causal: rows see only those before them; if not, all have to fit in one batch. output: the last row's
        logits are wanted. The status is `decode`'s, but after "no room" a part may be evaluated; beside it
        the row to ask `logits` for.
        """
        status = last = 0
        C.llama_set_causal_attn(self.handle, causal)
        for at in range(0, len(vectors), self.n_batch):
            part = np.ascontiguousarray(vectors[at : at + self.n_batch])
            where = np.ascontiguousarray(places[:, at : at + self.n_batch])
            size = len(part)
            last = size - 1
            self.sequences[:size] = sequence
            self.wants_output[:size] = 0
            self.wants_output[last] = output and at + size == len(vectors)
            batch: Any = C.llama_batch()
            batch.n_tokens = size
            batch.embd = _pointer(part, ctypes.c_float)
            batch.pos = _pointer(where, ctypes.c_int32)
            batch.n_seq_id, batch.seq_id = self._batch.n_seq_id, self._batch.seq_id
            batch.logits = self._batch.logits
            status = C.llama_decode(self.handle, batch)
            if status:
                break
        C.llama_set_causal_attn(self.handle, True)
        return status, last

    def logits(self, row: int) -> NDArray[np.float32]:
        """Logits of batch row `row`, which must have asked for output."""
        pointer: Any = C.llama_get_logits_ith(self.handle, row)
        # From the address: np.ctypeslib.as_array takes 70 µs, a fiftieth of a small model's token.
        logits: Any = self._logits_type.from_address(ctypes.addressof(pointer.contents))
        return np.frombuffer(logits, np.float32)

    def embedding(self, sequence: int, row: int) -> NDArray[np.float32]:
        """The pooled vector of a sequence, or row `row`'s own when the model does not pool.

        Of a model that ranks it is the value of each of its labels.
        """
        if self.pooling == C.LLAMA_POOLING_TYPE_NONE:
            pointer = C.llama_get_embeddings_ith(self.handle, row)
        else:
            pointer = C.llama_get_embeddings_seq(self.handle, sequence)
        return np.ctypeslib.as_array(pointer, (self._width,))

    def share(self, source: int, target: int, length: int) -> None:
        """Let `target` hold the first `length` positions of `source` too; nothing is copied."""
        C.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def cut(self, sequence: int, length: int) -> bool:
        """Forget all of a sequence after its first `length` positions; False if this memory cannot."""
        return bool(C.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def forget(self, sequence: int) -> None:
        C.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def saved_size(self, sequence: int) -> int:
        """Bytes that `save` of a sequence takes."""
        return C.llama_state_seq_get_size(self.handle, C.llama_seq_id(sequence))

    def save(self, sequence: int, size: int) -> NDArray[np.uint8]:
        """A copy of all that a sequence holds, of `saved_size` bytes."""
        data = np.empty(size, np.uint8)
        C.llama_state_seq_get_data(self.handle, _bytes(data), size, C.llama_seq_id(sequence))
        return data

    def restore(self, sequence: int, data: NDArray[np.uint8]) -> bool:
        """Make a sequence hold what was saved; False if the pool has no room for it."""
        return (
            C.llama_state_seq_set_data(self.handle, _bytes(data), data.nbytes, C.llama_seq_id(sequence)) > 0
        )

    def clear(self) -> None:
        C.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        C.llama_free(self.handle)


def _pointer(array: NDArray[Any], kind: type[Any]) -> Any:
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))


def _bytes(array: NDArray[np.uint8]) -> Any:
    return _pointer(array, ctypes.c_uint8)


class Sampler:
    """One request's chain: penalties, truncation, temperature, and the draw."""

    def __init__(self, model: Model, options: Options, *, context: int) -> None:
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        # One array serves all: it is filled anew for each token, on the loop's thread.
        self._candidates = model.candidates
        self._ids = model.ids
        address = model.candidates.ctypes.data
        self._array: Any = C.llama_token_data_array(data=ctypes.cast(address, C.llama_token_data_p))
        self._shortlisted = 0
        last_n = context if options.repeat_last_n < 0 else min(options.repeat_last_n, context)
        repeat, frequency, presence = (
            options.repeat_penalty,
            options.frequency_penalty,
            options.presence_penalty,
        )
        self.penalised = last_n > 0 and (repeat != 1.0 or frequency != 0.0 or presence != 0.0)
        self.greedy = options.temperature <= 0 and not self.penalised
        seed = options.seed & 0xFFFFFFFF if options.seed >= 0 else C.LLAMA_DEFAULT_SEED
        if self.penalised:
            self._add(C.llama_sampler_init_penalties(model.n_vocab, last_n, repeat, frequency, presence))
        if options.temperature <= 0:
            self._add(C.llama_sampler_init_greedy())
        elif options.mirostat == 1:
            self._add(C.llama_sampler_init_temp(options.temperature))
            tau, eta = options.mirostat_tau, options.mirostat_eta
            self._add(C.llama_sampler_init_mirostat(model.n_vocab, seed, tau, eta, 100))
        elif options.mirostat == 2:
            self._add(C.llama_sampler_init_temp(options.temperature))
            self._add(C.llama_sampler_init_mirostat_v2(seed, options.mirostat_tau, options.mirostat_eta))
        else:
            if not self.penalised and 0 < options.top_k <= WIDTH <= model.n_vocab:
                self._shortlisted = options.top_k
            self._truncate(options)
            self._add(C.llama_sampler_init_temp(options.temperature))
            self._add(C.llama_sampler_init_dist(seed))

    def _truncate(self, options: Options) -> None:
        if options.top_k > 0:
            self._add(C.llama_sampler_init_top_k(options.top_k))
        if 0 < options.typical_p < 1:
            self._add(C.llama_sampler_init_typical(options.typical_p, 1))
        if options.top_p < 1:
            self._add(C.llama_sampler_init_top_p(options.top_p, 1))
        if options.min_p > 0:
            self._add(C.llama_sampler_init_min_p(options.min_p, 1))

    def _add(self, sampler: Any) -> None:
        C.llama_sampler_chain_add(self._chain, sampler)

    def accept(self, token: int) -> None:
        """Tell the penalties of a token that is part of the text."""
        if self.penalised:
            C.llama_sampler_accept(self._chain, token)

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Draw a token from `logits`, of which -inf marks what may not come; `accept` it if it is taken."""
        if self.greedy:
            return int(logits.argmax())
        ids, values = self._ids, logits
        if self._shortlisted:
            # The chain begins with top-k: to hand it those few takes a third of the time.
            ids = shortlist(logits, self._shortlisted)
            values = logits[ids]
        candidates = self._candidates[: len(ids)]
        candidates["id"] = ids
        candidates["logit"] = values
        array = self._array
        array.size, array.selected, array.sorted = len(ids), -1, False
        C.llama_sampler_apply(self._chain, cast(Any, ctypes.byref(array)))
        return int(candidates["id"][array.selected])

    def close(self) -> None:
        C.llama_sampler_free(self._chain)


def quantize(source: str, target: str, kind: str, *, threads: int, notice: Callable[[str], None]) -> None:
    """Write the GGUF file `source` anew with its weights stored as `kind`, such as "Q4_K_M".

    `notice` gets what libllama logs meanwhile. Raises BadRequest when the source is quantized already,
    PunaError with libllama's reason otherwise.
    """
    C.llama_backend_init()
    log = Log(notice)
    with Header(source) as header:
        if not header.found:
            raise PunaError(f"unable to load model {source}: {log.last_error or NO_REASON}")
        # What the file says of its type may be missing or wrong; and libllama copies what is stored as asked.
        if header.quantized:
            raise BadRequest(_QUANTIZED)
    params = C.llama_model_quantize_default_params()
    params.ftype = C.LLAMA_FTYPE_ALL_F32 if kind == "F32" else getattr(C, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.nthread = threads
    params.max_buf_size = _ROWS_IN_MEMORY
    if C.llama_model_quantize(os.fsencode(source), os.fsencode(target), cast(Any, ctypes.byref(params))):
        reason = log.last_error.removeprefix("llama_model_quantize: failed to quantize: ")
        raise PunaError(
            f"unable to quantize {source} to {target}: {reason.replace(*_UNWRITABLE) or NO_REASON}"
        )


def max_sequences() -> int:
    """The most sequence ids libllama allows in one context."""
    return C.llama_max_parallel_sequences()
