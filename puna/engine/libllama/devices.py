"""The GPUs that this build of libllama finds (ggml-backend.h)."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import sys

import msgspec
from llama_cpp._ggml import libggml

from puna.engine.libllama.log import Log
from puna.load import Device

_GPU, _INTEGRATED = 1, 2
"""`ggml_backend_dev_type`."""

_APPLE = sys.platform == "darwin" and platform.machine() == "arm64"


class _Properties(ctypes.Structure):
    """`ggml_backend_dev_props`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", ctypes.c_bool * 5),
    )


def _declare(name: str, result: object, *arguments: object) -> None:
    function = getattr(libggml, name)
    function.restype, function.argtypes = result, arguments


_declare("ggml_backend_dev_count", ctypes.c_size_t)
_declare("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
_declare("ggml_backend_dev_by_name", ctypes.c_void_p, ctypes.c_char_p)
_declare("ggml_backend_dev_get_props", None, ctypes.c_void_p, ctypes.POINTER(_Properties))
_declare("ggml_backend_dev_buffer_type", ctypes.c_void_p, ctypes.c_void_p)
_declare("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)
_declare("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)


def list_devices() -> list[Device]:
    """All GPUs, in ggml's order. It starts their drivers: this process then has a context on each."""
    devices = []
    for index in range(libggml.ggml_backend_dev_count()):
        handle = libggml.ggml_backend_dev_get(index)
        properties = _Properties()
        libggml.ggml_backend_dev_get_props(handle, ctypes.byref(properties))
        if properties.type not in (_GPU, _INTEGRATED):
            continue
        backend = libggml.ggml_backend_reg_name(libggml.ggml_backend_dev_backend_reg(handle))
        devices.append(
            Device(
                name=_text(properties.name),
                description=_text(properties.description),
                backend=_text(backend),
                shared=properties.type == _INTEGRATED or _APPLE,
                id=_text(properties.device_id),
                total=properties.memory_total,
                free=properties.memory_free,
            )
        )
    return devices


def handle_of(name: str) -> int | None:
    """The `ggml_backend_dev_t` of the device called `name`; None if there is none."""
    return libggml.ggml_backend_dev_by_name(name.encode())


def buffer_type(device: int) -> int:
    """The `ggml_backend_buffer_type_t` of a device's own memory."""
    return libggml.ggml_backend_dev_buffer_type(device)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace").strip()


def main() -> None:
    """Run as `python -m puna.engine.libllama.devices`: the devices as JSON, on standard output."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # drivers print what they like
    log = Log()
    answer.write(msgspec.json.encode(list_devices()))
    answer.close()
    log.forget()


if __name__ == "__main__":
    main()
