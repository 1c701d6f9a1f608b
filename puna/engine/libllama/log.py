"""libllama's log, and why a call failed."""

from __future__ import annotations

import ctypes
import logging
import os
import re
from collections.abc import Callable

import llama_cpp as C

logger = logging.getLogger(__name__)

# Before it aborts, ggml starts a debugger on itself and may wait for it forever.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")

_OUT_OF_MEMORY = re.compile(
    r"(?i)out of.{0,8} memory|OutOf\w*Memory|failed to allocate|memory allocation|insufficient memory"
)
"""Backends' messages when a memory is full (ggml-alloc.c, ggml-cuda.cu, ggml-vulkan.cpp)."""

_ERROR_LEVELS = (3, 4)  # GGML_LOG_LEVEL_WARN, GGML_LOG_LEVEL_ERROR
NO_REASON = "libllama gave no reason"


class Log:
    """Keeps libllama's errors, which explain a failed load, and passes on other messages."""

    def __init__(self, notice: Callable[[str], None] | None = None) -> None:
        """`notice` is called with every other message."""
        self.first_error = self.last_error = ""
        self.starving: Callable[[], None] = lambda: None
        """Called after a failed allocation, because the process may end next."""
        self._notice = notice
        self.callback = C.llama_log_callback(self._receive)
        C.llama_log_set(self.callback, ctypes.c_void_p(0))

    def forget(self) -> None:
        """Forget earlier errors, before a call whose errors matter."""
        self.first_error = self.last_error = ""

    def _receive(self, level: int, text: bytes, _: ctypes.c_void_p) -> None:
        if level in _ERROR_LEVELS:
            message = text.decode("utf-8", "replace").strip()
            logger.log(logging.ERROR if level == 4 else logging.INFO, "%s", message)
            if level == 4:
                if _OUT_OF_MEMORY.search(message):
                    self.starving()
                self.first_error = self.first_error or message
            if level == 4 and "failed to load model" not in message:
                self.last_error = message
        elif self._notice is not None:
            self._notice(text.decode("utf-8", "replace"))
