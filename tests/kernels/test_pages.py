"""The CPU's buffers are cleared by pages: to zeros that come into memory later, or to any other byte."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import llama_cpp.llama_cpp as C
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from puna.engine.libllama.kernels import prefault, start_kernels, unfaulted_bytes
from puna.kernels import build, library

POINTER = ctypes.c_void_p


class Buffer:
    """A buffer of the CPU, as libllama makes them for a KV cache."""

    def __init__(self, size: int) -> None:
        self.size = size
        kind = self._call("ggml_backend_cpu_buffer_type", POINTER)
        self.handle = self._call("ggml_backend_buft_alloc_buffer", POINTER, kind, ctypes.c_size_t(size))
        base = self._call("ggml_backend_buffer_get_base", POINTER, self.handle)
        self.bytes: NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(base))

    def clear(self, value: int) -> None:
        self._call("ggml_backend_buffer_clear", None, self.handle, ctypes.c_uint8(value))

    def close(self) -> None:
        self._call("ggml_backend_buffer_free", None, self.handle)

    def _call(self, name: str, result: type | None, *arguments: object) -> int:
        function = getattr(C._lib, name)
        function.restype = result
        return function(*(POINTER(a) if isinstance(a, int) else a for a in arguments))


@pytest.fixture(params=[100, 1 << 20, (64 << 20) + 4321, 96 << 20])
def buffer(request: pytest.FixtureRequest) -> Iterator[Buffer]:
    assert library() is not None or not build()
    assert not start_kernels().startswith("off")
    made = Buffer(request.param)
    yield made
    made.close()


def test_a_buffer_is_cleared_from_its_first_byte_to_its_last(buffer: Buffer):
    buffer.clear(7)
    assert (buffer.bytes == 7).all()
    buffer.clear(0)
    assert not buffer.bytes.any()


def test_zeros_come_into_memory_later_and_are_counted(buffer: Buffer):
    process = psutil.Process()
    prefault()
    before = process.memory_info().rss
    buffer.clear(0)
    assert process.memory_info().rss + unfaulted_bytes() - before > 0.9 * buffer.size - (2 << 20)
    buffer.bytes[buffer.size // 2] = 1
    prefault()
    assert not unfaulted_bytes()
    assert process.memory_info().rss - before > 0.9 * buffer.size - (2 << 20)
    assert np.count_nonzero(buffer.bytes) == 1
