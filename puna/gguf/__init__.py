"""Reads and writes GGUF files (ggml/docs/gguf.md). A reader trusts nothing in a header.

`read_metadata` returns a file's header; `GGUFFile` is a file to copy from, and `write` makes a new one.
Nothing here knows what a model is for.
"""

from puna.gguf.file import GGUFFile
from puna.gguf.metadata import Entry, Metadata, Skipped, TensorInfo
from puna.gguf.reader import cached_metadata, decoded, read_metadata
from puna.gguf.types import FILE_TYPES, TENSOR_TYPES, TYPE_NUMBERS
from puna.gguf.vocabulary import disagreement
from puna.gguf.writer import (
    ALIGNMENT,
    StoredTensor,
    encoded,
    f32,
    flag,
    i32,
    string,
    truncate_array,
    u32,
    write,
)

__all__ = [
    "ALIGNMENT",
    "FILE_TYPES",
    "TENSOR_TYPES",
    "TYPE_NUMBERS",
    "Entry",
    "GGUFFile",
    "Metadata",
    "Skipped",
    "StoredTensor",
    "TensorInfo",
    "cached_metadata",
    "decoded",
    "disagreement",
    "encoded",
    "f32",
    "flag",
    "i32",
    "read_metadata",
    "string",
    "truncate_array",
    "u32",
    "write",
]
