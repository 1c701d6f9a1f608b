"""Weights and vocabulary."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import llama_cpp as C

from puna.engine.libllama.buffers import Buffers
from puna.engine.libllama.devices import buffer_type, handle_of
from puna.engine.libllama.drawing import open_drawing
from puna.engine.libllama.file_stream import opened
from puna.engine.libllama.kernels import start_kernels, tie_embeddings
from puna.engine.libllama.log import NO_REASON, Log
from puna.engine.libllama.packed_weights import packing
from puna.engine.wordpiece import Normalizer, WordPiece
from puna.errors import BadRequest, LoadFailed
from puna.gguf import cached_metadata
from puna.load import Placed

_WORDPIECE = C.LLAMA_VOCAB_TYPE_WPM

NOWHERE = Placed()
"""On no device."""


class _Override(ctypes.Structure):
    """`llama_model_tensor_buft_override`."""

    _fields_ = (("pattern", ctypes.c_char_p), ("type", ctypes.c_void_p))


class LlamaModel:
    """Weights and vocabulary of one GGUF file, and the LoRA adapters that its contexts apply."""

    def __init__(
        self,
        path: str,
        *,
        adapters: Sequence[str] = (),
        placed: Placed = NOWHERE,
        repack_file: Path | None = None,
        use_mmap: bool | None = None,
        allocate: bool = True,
        mtp: bool = False,
    ) -> None:
        """`repack_file`: has the packed weights, if it exists and matches. `mtp`: load the MTP layer.

        Without `allocate`, the model is only laid out: `buffers` has what it and its contexts would take.
        """
        C.llama_backend_init()
        self.buffers = Buffers()
        log = self.log = Log(self.buffers.notice)
        start_kernels()
        params = C.llama_model_default_params()
        placement = _place(params, placed)
        params.no_alloc = not allocate
        params.load_mtp = mtp
        if use_mmap is False or not allocate:
            params.load_mode = C.LLAMA_LOAD_MODE_NONE
        try:
            with opened(path, mtp=mtp) as readable, packing(repack_file) as packed:
                # A dry run has no weights, and a device has a copy of its own.
                tie_embeddings(allocate and not placed.devices and _ties_output(path))
                if isinstance(readable, str):
                    handle = C.llama_model_load_from_file(os.fsencode(readable), params)
                else:
                    params.load_mode = C.LLAMA_LOAD_MODE_NONE
                    handle = C.llama_model_load_from_file_ptr(readable, params)
        except OSError as error:
            raise LoadFailed(f"unable to load model: {error.strerror or error}") from error
        del placement
        if not handle:
            raise LoadFailed(f"unable to load model: {log.last_error or NO_REASON}")
        self.handle = handle
        self.packed = packed[0] if packed else None
        """The weights that our kernels use; None if they use none."""
        self.adapters = [self._load_adapter(adapter) for adapter in adapters]
        vocab = C.llama_model_get_vocab(handle)
        assert vocab is not None
        self.vocab = vocab
        self.n_vocab = C.llama_vocab_n_tokens(vocab)
        self.n_embd = C.llama_model_n_embd_out(handle)
        self.n_embd_inp = C.llama_model_n_embd_inp(handle)
        self.n_ctx_train = C.llama_model_n_ctx_train(handle)
        self.n_layer = C.llama_model_n_layer(handle)
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
        self.hybrid = bool(C.llama_model_is_hybrid(handle))
        self.recurrent = self.hybrid or bool(C.llama_model_is_recurrent(handle))
        ends = cached_metadata(Path(path)).get("tokenizer.ggml.eos_token_ids")
        self._ends: list[int] = ends if isinstance(ends, list) else []
        """End tokens that libllama ignores."""
        self._pieces: dict[int, bytes] = {}
        self._wordpiece = self._read_wordpiece() if C.llama_vocab_type(vocab) == _WORDPIECE else None
        self.drawing = open_drawing(self.n_vocab)
        """Draws tokens in native code; None without it."""

    def _load_adapter(self, path: str) -> Any:
        """Load an adapter, which is freed with the model."""
        self.log.forget()
        adapter = C.llama_adapter_lora_init(self.handle, path.encode())
        if not adapter:
            reason = self.log.last_error.rpartition("failed to apply lora adapter: ")[2]
            raise LoadFailed(f"unable to load adapter {path}: {reason or NO_REASON}")
        return adapter

    def _read_wordpiece(self) -> WordPiece:
        pieces = self.texts()
        return WordPiece(pieces, pieces.index("[UNK]") if "[UNK]" in pieces else 0, self._read_normalizer())

    def _read_normalizer(self) -> Normalizer | None:
        """The file's normalizer; None if it has none."""
        key = "tokenizer.ggml.normalizer."
        texts = {field.name: self.metadata(key + field.name) for field in fields(Normalizer)}
        flags = {name: text == "true" for name, text in texts.items() if text}
        # Lowercasing strips accents too, unless the file says otherwise.
        flags.setdefault("strip_accents", flags.get("lowercase", True))
        return Normalizer(**flags) if any(texts.values()) else None

    def metadata(self, key: str) -> str:
        """A metadata value of the file as text; empty if there is none."""
        size = C.llama_model_meta_val_str(self.handle, key.encode(), cast(Any, None), 0) + 1
        if size <= 0:
            return ""
        buffer = ctypes.create_string_buffer(size)
        C.llama_model_meta_val_str(self.handle, key.encode(), cast(Any, buffer), size)
        return buffer.value.decode("utf-8", "replace")

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool = True) -> list[int]:
        """Token ids of `text`. `parse_special`: texts of special tokens become those tokens.

        `add_special`: add the begin and end tokens that the vocabulary asks for.
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
        """A token's bytes; control tokens have none."""
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
        """A token's bytes, also a control token's."""
        return self._to_piece(token, special=True)

    def texts(self) -> list[str]:
        """The vocabulary's tokens as in its file."""
        texts = (C.llama_vocab_get_text(self.vocab, token) for token in range(self.n_vocab))
        return [(text or b"").decode("utf-8", "replace") for text in texts]

    def check(self, tokens: Sequence[int], field: str) -> None:
        """Raises BadRequest with the index in `field` of an id that is not in the vocabulary."""
        for place, token in enumerate(tokens):
            if not 0 <= token < self.n_vocab:
                problem = f"token {token} at place {place} is not in the vocabulary of {self.n_vocab} tokens"
                raise BadRequest(problem, f"{field}[{place}]")

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, special tokens written out."""
        return b"".join(map(self.spell, tokens)).decode("utf-8", "replace")

    def ends(self, token: int) -> bool:
        """Whether `token` ends a generation (EOS, EOT and their kin)."""
        return token in self._ends or bool(C.llama_vocab_is_eog(self.vocab, token))

    def close(self) -> None:
        if self.drawing is not None:
            self.drawing.close()
        C.llama_model_free(self.handle)


def _ties_output(path: str) -> bool:
    """Whether one matrix is both the file's embeddings and its output."""
    return all(tensor.name != "output.weight" for tensor in cached_metadata(Path(path)).tensors)


def _place(params: C.llama_model_params, placed: Placed) -> object:
    """Set a model's placement. `params` points into the returned objects. Raises LoadFailed."""
    handles = [_device(name) for name in placed.devices]
    devices = (ctypes.c_void_p * (len(handles) + 1))(*handles, None)
    split = (ctypes.c_float * C.llama_max_devices())(*placed.split)
    pairs = [(pattern.encode(), buffer_type(_device(name))) for pattern, name in placed.overrides]
    overrides = (_Override * (len(pairs) + 1))(*pairs)
    params.devices = cast(Any, ctypes.cast(devices, ctypes.c_void_p))
    params.n_gpu_layers = placed.layers
    params.tensor_split = split
    params.tensor_buft_overrides = cast(Any, ctypes.cast(overrides, ctypes.c_void_p))
    return devices, split, overrides


def _device(name: str) -> int:
    handle = handle_of(name)
    if handle is None:
        raise LoadFailed(f"unable to load model: there is no device {name}")
    return handle
