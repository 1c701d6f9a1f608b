"""Plugs our kernels into libllama."""

from __future__ import annotations

import ctypes
import functools
import logging

import llama_cpp.llama_cpp as C

from puna.kernels import library
from puna.settings import Settings

logger = logging.getLogger(__name__)

_ROOM = 1024
"""Bytes of the kernels' description."""
_PARTS = ("weights", "attention")


@functools.cache
def native() -> ctypes.CDLL | None:
    """The native code; None if it is not compiled or switched off."""
    path = library()
    if path is None or "0" in _setting():
        return None
    try:
        loaded = ctypes.CDLL(str(path))
        _ = (
            loaded.puna_kernels_use,
            loaded.puna_kernels_covered,
            loaded.puna_kernels_tie,
            loaded.puna_repack_begin,
            loaded.puna_prefault,
            loaded.puna_drawing_new,
        )
    except (OSError, AttributeError):
        return None
    return loaded


def _setting() -> list[str]:
    return Settings.from_environment().kernels.lower().replace(",", " ").split()


@functools.cache
def start_kernels() -> str:
    """Plug the kernels into libllama, for all models loaded from now on.

    Returns those in use ("avx2: q4_0 q8_0"), or "off" and why.
    """
    setting = _setting()
    path = library()
    if "0" in setting:
        words = "off: PUNA_KERNELS is 0"
    elif path is None:
        words = "off: not compiled (`python -m puna.kernels` says why)"
    else:
        words = _start(str(path), setting)
    logger.info("kernels: %s", words)
    return words


def computed_all() -> bool:
    """Whether the kernels computed all products and attention on the CPU since the last call.

    Then a row's bits do not depend on the other rows of its batch.
    """
    loaded = native()
    return loaded is not None and bool(loaded.puna_kernels_covered())


def unfaulted_bytes() -> int:
    """Bytes of large zeroed buffers that have no pages until their first use or `prefault`."""
    loaded = native()
    if loaded is None:
        return 0
    loaded.puna_unfaulted_bytes.restype = ctypes.c_size_t
    return loaded.puna_unfaulted_bytes()


def prefault() -> None:
    """Fault in the pages of those buffers. Other threads may evaluate meanwhile."""
    if (loaded := native()) is not None:
        loaded.puna_prefault()


def tie_embeddings(tied: bool) -> None:
    """Set whether the next model has one matrix for embeddings and output, so that it is packed once."""
    if (loaded := native()) is not None:
        loaded.puna_kernels_tie(tied)


def _start(path: str, setting: list[str]) -> str:
    try:
        use = ctypes.CDLL(path).puna_kernels_use
    except OSError as error:
        return f"off: {error}"
    except AttributeError:
        return "off: compiled from older sources (`python -m puna.kernels` compiles them again)"
    message = ctypes.create_string_buffer(_ROOM)
    libllama = ctypes.c_void_p(C._lib._handle)
    parts = [part for part in _PARTS if part in setting] or _PARTS
    variant = " ".join(word for word in setting if word not in (*_PARTS, "1")).encode()
    which = ["weights" in parts, "attention" in parts]
    runs = use(libllama, variant, *which, message, ctypes.c_size_t(_ROOM))
    words = message.value.decode()
    return words if runs else f"off: {words}"


if __name__ == "__main__":
    print(start_kernels())
