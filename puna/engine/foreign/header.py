"""The header of a GGUF file through ggml's own reader, and the file written with another one.

Uses ctypes, as `libllama` does. Format: ggml/docs/gguf.md; functions: ggml's gguf.h, which ends the process
over a key of another type than it is asked for.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from llama_cpp._ctypes_extensions import load_shared_library
from llama_cpp._ggml import libggml_base_path
from numpy.typing import NDArray

from puna.engine.foreign.edit import Edit, Shape, Value

_PIECE = 8 << 20
_STRING, _ARRAY = 8, 9
_F32, _F16, _BF16 = 0, 1, 30
_FLOATS = (_F32, _F16, _BF16)
_TYPES = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool"}
_TYPES |= {10: "u64", 11: "i64", 12: "f64"}
"""gguf.h, gguf_type: as the functions for single values are called."""
_NUMBERS = {name: kind for kind, name in _TYPES.items()}
_C = {"u8": ctypes.c_uint8, "i8": ctypes.c_int8, "u16": ctypes.c_uint16, "i16": ctypes.c_int16}
_C |= {"u32": ctypes.c_uint32, "i32": ctypes.c_int32, "f32": ctypes.c_float, "bool": ctypes.c_bool}
_C |= {"u64": ctypes.c_uint64, "i64": ctypes.c_int64, "f64": ctypes.c_double}


class _Reading(ctypes.Structure):
    """gguf.h, gguf_init_params."""

    _fields_ = (("no_alloc", c_bool), ("ctx", ctypes.POINTER(c_void_p)))


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "gguf_init_from_file": (c_void_p, (c_char_p, _Reading)),
    "gguf_init_empty": (c_void_p, ()),
    "gguf_free": (None, (c_void_p,)),
    "gguf_find_key": (c_int64, (c_void_p, c_char_p)),
    "gguf_get_n_kv": (c_int64, (c_void_p,)),
    "gguf_get_key": (c_char_p, (c_void_p, c_int64)),
    "gguf_get_kv_type": (c_int, (c_void_p, c_int64)),
    "gguf_get_val_str": (c_char_p, (c_void_p, c_int64)),
    "gguf_get_val_data": (c_void_p, (c_void_p, c_int64)),
    "gguf_get_arr_type": (c_int, (c_void_p, c_int64)),
    "gguf_get_arr_n": (c_size_t, (c_void_p, c_int64)),
    "gguf_get_arr_data": (c_void_p, (c_void_p, c_int64)),
    "gguf_get_arr_str": (c_char_p, (c_void_p, c_int64, c_size_t)),
    "gguf_set_kv": (None, (c_void_p, c_void_p)),
    "gguf_remove_key": (c_int64, (c_void_p, c_char_p)),
    "gguf_set_val_str": (None, (c_void_p, c_char_p, c_char_p)),
    "gguf_set_arr_data": (None, (c_void_p, c_char_p, c_int, c_void_p, c_size_t)),
    "gguf_set_arr_str": (None, (c_void_p, c_char_p, ctypes.POINTER(c_char_p), c_size_t)),
    "gguf_get_n_tensors": (c_int64, (c_void_p,)),
    "gguf_get_tensor_name": (c_char_p, (c_void_p, c_int64)),
    "gguf_get_tensor_type": (c_int, (c_void_p, c_int64)),
    "gguf_get_tensor_offset": (c_size_t, (c_void_p, c_int64)),
    "gguf_get_tensor_size": (c_size_t, (c_void_p, c_int64)),
    "gguf_get_tensor_ne": (ctypes.POINTER(c_int64), (c_void_p, c_int64)),
    "gguf_get_data_offset": (c_size_t, (c_void_p,)),
    "gguf_get_alignment": (c_size_t, (c_void_p,)),
    "gguf_add_tensor": (None, (c_void_p, c_void_p)),
    "gguf_set_tensor_type": (None, (c_void_p, c_char_p, c_int)),
    "gguf_get_meta_size": (c_size_t, (c_void_p,)),
    "gguf_get_meta_data": (None, (c_void_p, c_void_p)),
    "ggml_get_tensor": (c_void_p, (c_void_p, c_char_p)),
    "ggml_set_name": (c_void_p, (c_void_p, c_char_p)),
    "ggml_free": (None, (c_void_p,)),
    "ggml_is_quantized": (c_bool, (c_int,)),
}
G = load_shared_library("ggml-base", libggml_base_path)
for _name, (_result, _arguments) in _FUNCTIONS.items():
    getattr(G, _name).restype, getattr(G, _name).argtypes = _result, _arguments
for _name, _kind in _C.items():
    getattr(G, f"gguf_set_val_{_name}").argtypes = (c_void_p, c_char_p, _kind)
    getattr(G, f"gguf_set_val_{_name}").restype = None


@dataclass(frozen=True)
class _Tensor:
    """`offset` from the start of the file."""

    place: int
    kind: int
    shape: Shape
    offset: int
    size: int


class Header:
    """What the GGUF file at `path` says of itself. `found` is False if ggml cannot read it; it logs why."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._tensors_of = c_void_p()
        self._file = G.gguf_init_from_file(
            os.fsencode(path), _Reading(True, ctypes.pointer(self._tensors_of))
        )
        self._tensors = {tensor[0]: tensor[1] for tensor in map(self._tensor, range(self._count()))}

    def __enter__(self) -> Header:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            G.gguf_free(self._file)
            G.ggml_free(self._tensors_of)

    @property
    def found(self) -> bool:
        return bool(self._file)

    @property
    def tensors(self) -> dict[str, Shape]:
        """Their shapes by their names, in the file's order."""
        return {name: tensor.shape for name, tensor in self._tensors.items()}

    @property
    def quantized(self) -> bool:
        """Any tensor is, whatever the file says it is."""
        return any(G.ggml_is_quantized(tensor.kind) for tensor in self._tensors.values())

    @property
    def keys(self) -> list[str]:
        count = G.gguf_get_n_kv(self._file) if self._file else 0
        return [_text(G.gguf_get_key(self._file, at)) for at in range(count)]

    def get(self, key: str) -> Value | None:
        """A text, number or array of numbers, in its own type; None for anything else, or nothing."""
        at = G.gguf_find_key(self._file, key.encode()) if self._file else -1
        if at < 0:
            return None
        kind = G.gguf_get_kv_type(self._file, at)
        if kind == _STRING:
            return _text(G.gguf_get_val_str(self._file, at))
        if kind != _ARRAY:
            return _array(kind, 1, G.gguf_get_val_data(self._file, at))[0]
        kind, count = G.gguf_get_arr_type(self._file, at), G.gguf_get_arr_n(self._file, at)
        return _array(kind, count, G.gguf_get_arr_data(self._file, at)) if kind in _TYPES and count else None

    def write(self, edit: Edit, out: BinaryIO) -> None:
        """The file as `edit` says. Raises OSError."""
        made = G.gguf_init_empty()
        try:
            if edit.inherits:
                G.gguf_set_kv(made, self._file)
                G.gguf_remove_key(made, b"general.alignment")  # what is written has the usual one
            for key, value in edit.values.items():
                _set(made, key, value)
            if edit.vocabulary is not None:
                self._shorten(made, edit.vocabulary)
            for name, old in edit.tensors.items():
                tensor = G.ggml_get_tensor(self._tensors_of, old.encode())
                G.ggml_set_name(tensor, name.encode())
                G.gguf_add_tensor(made, tensor)
                G.ggml_set_name(tensor, old.encode())
                if name in edit.widened and self._tensors[old].kind in _FLOATS:
                    G.gguf_set_tensor_type(made, name.encode(), _F32)
            header = ctypes.create_string_buffer(G.gguf_get_meta_size(made))
            G.gguf_get_meta_data(made, header)
            alignment = G.gguf_get_alignment(made)
        finally:
            G.gguf_free(made)
        out.write(header.raw)
        with open(self._path, "rb") as source:
            for name, old in edit.tensors.items():
                out.write(bytes(-out.tell() % alignment))
                tensor = self._tensors[old]
                source.seek(tensor.offset)
                _copy(source, out, tensor, widen=name in edit.widened)
            out.write(bytes(-out.tell() % alignment))

    def _count(self) -> int:
        return G.gguf_get_n_tensors(self._file) if self._file else 0

    def _tensor(self, at: int) -> tuple[str, _Tensor]:
        shape = tuple(G.gguf_get_tensor_ne(self._file, at)[:4])
        offset = G.gguf_get_data_offset(self._file) + G.gguf_get_tensor_offset(self._file, at)
        kind, size = G.gguf_get_tensor_type(self._file, at), G.gguf_get_tensor_size(self._file, at)
        return _text(G.gguf_get_tensor_name(self._file, at)), _Tensor(at, kind, shape, offset, size)

    def _shorten(self, made: int, size: int) -> None:
        """Leave the first `size` entries of the vocabulary."""
        for name in ("scores", "token_type"):
            values = self.get(f"tokenizer.ggml.{name}")
            if isinstance(values, np.ndarray) and len(values) > size:
                _set(made, f"tokenizer.ggml.{name}", values[:size].copy())
        key = b"tokenizer.ggml.tokens"
        at = G.gguf_find_key(self._file, key)
        if (
            at >= 0
            and G.gguf_get_kv_type(self._file, at) == _ARRAY
            and G.gguf_get_arr_n(self._file, at) > size
        ):
            texts = (c_char_p * size)(*[G.gguf_get_arr_str(self._file, at, token) for token in range(size)])
            G.gguf_set_arr_str(made, key, texts, size)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _array(kind: int, count: int, address: int) -> NDArray[Any]:
    """A copy of `count` values."""
    c_type = _C[_TYPES[kind]]
    return np.frombuffer(ctypes.string_at(address, count * ctypes.sizeof(c_type)), c_type)


def _set(made: int, key: str, value: Value) -> None:
    name = key.encode()
    if isinstance(value, str):
        G.gguf_set_val_str(made, name, value.encode("utf-8", "surrogateescape"))
        return
    kind = {"b": "bool", "f": "f", "u": "u", "i": "i"}[value.dtype.kind]
    word = kind if kind == "bool" else f"{kind}{value.dtype.itemsize * 8}"
    if isinstance(value, np.ndarray):
        G.gguf_set_arr_data(made, name, _NUMBERS[word], value.ctypes.data, len(value))
    else:
        getattr(G, f"gguf_set_val_{word}")(made, name, value.item())


def _copy(source: BinaryIO, out: BinaryIO, tensor: _Tensor, *, widen: bool) -> None:
    left = tensor.size
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            raise OSError("the file became shorter")
        left -= len(piece)
        out.write(_as_f32(piece, tensor.kind) if widen else piece)


def _as_f32(data: bytes, kind: int) -> bytes:
    if kind == _F16:
        return np.frombuffer(data, "<f2").astype("<f4").tobytes()
    if kind == _BF16:
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).tobytes()
    return data
