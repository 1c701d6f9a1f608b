"""MTP layers ("next-n"): which files have usable ones, and the calls that hand over hidden states.

These calls are in no public header, so the bindings lack them; they are looked up by the C++ names that the
pinned release exports. The tensors that graphs need are from the same release (src/models): where one is
missing, libllama ends the process.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import llama_cpp.llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama.context import Context
from puna.engine.libllama.model import LlamaModel
from puna.gguf import Metadata
from puna.options import KVCacheType

_SET_STATES = "_Z26llama_set_embeddings_nextnP13llama_contextbb"
"""void llama_set_embeddings_nextn(llama_context *, bool value, bool masked)"""
_GET_STATE = "_Z30llama_get_embeddings_nextn_ithP13llama_contexti"
"""float * llama_get_embeddings_nextn_ith(llama_context *, int32_t i)"""

_GRAPHS = {
    "glm4moe": ("ffn_gate_inp",),
    "deepseek2": ("ffn_gate_inp", "attn_q_a", "attn_k_b"),
    "qwen35": (),
    "qwen35moe": ("ffn_gate_inp",),
}
"""Architectures whose layers were tested, and tensors that their graphs need but a load does not check."""

_SECTIONS = "rope.dimension_sections"
_BEYOND = {
    _SECTIONS: "positions of several dimensions",
    "attention.temperature_scale": "scaled attention",
}
"""Metadata keys of what those graphs cannot do, although the trunk's can."""

_IN_PICTURES = ("qwen35", "qwen35moe")
"""Architectures whose MTP graph supports positions of several dimensions."""


def obstacle(metadata: Metadata) -> str | None:
    """Why a model's MTP layer cannot draft; "" if it can, None if the model has none."""
    layers = metadata.arch("nextn_predict_layers")
    if not isinstance(layers, int) or layers < 1:
        return None
    wanted = _GRAPHS.get(metadata.architecture)
    if wanted is None:
        return f"{metadata.architecture} is not an architecture whose MTP layer is used"
    if layers > 1:
        return f"it has {layers} of them, and {metadata.architecture} is used with one"
    for key, feature in _BEYOND.items():
        if key == _SECTIONS and metadata.architecture in _IN_PICTURES:
            continue
        value = metadata.arch(key)
        if any(value) if isinstance(value, list) else value:
            return f"it is not made for {feature}, which the model has"
    if _calls() is None:
        return "this build of libllama does not hand over hidden states"
    block = f"blk.{metadata.arch('block_count', 0) - 1}"
    there = {tensor.name for tensor in metadata.tensors}
    # libllama itself refuses a layer that has this tensor and lacks another.
    needed = (f"{block}.{part}.weight" for part in ("nextn.eh_proj", *wanted))
    missing = next((name for name in needed if name not in there), "")
    return f"{missing} is missing" if missing else ""


class HeadContext(Context):
    """The context of a model's MTP layer. A row is a token, and the hidden state of the token before it."""

    def __init__(
        self,
        model: LlamaModel,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq: int,
        n_outputs: int,
        threads: int,
        kv_cache_type: KVCacheType = "f16",
        flash_attention: bool | None = None,
    ) -> None:
        """`n_outputs`: most rows of a batch with outputs, which all its rows then have. Raises LoadFailed."""
        super().__init__(
            model,
            n_ctx=n_ctx,
            n_batch=n_batch,
            n_seq=n_seq,
            threads=threads,
            kv_cache_type=kv_cache_type,
            flash_attention=flash_attention,
            swa_full=True,
            head_outputs=n_outputs,
        )
        self.n_outputs = n_outputs
        calls = _calls()
        assert calls is not None
        set_states, self._get_state = calls
        # Masked: graphs differ in whether they keep rows that want no output.
        set_states(self.handle, True, True)

    def _make_batch(self, size: int) -> None:
        super()._make_batch(size)
        self.states = np.zeros((size, self.width), np.float32)
        """Of each row of the batch."""
        self._batch.embd = ctypes.cast(self.states.ctypes.data, ctypes.POINTER(ctypes.c_float))

    def state(self, row: int) -> NDArray[np.float32]:
        """The layer's own hidden state of a row that wanted outputs; valid until the next decode."""
        return _row(self._get_state, self, row)


def reveal_states(context: Context) -> None:
    """Let a model's context keep the hidden states of all rows of its last batch."""
    calls = _calls()
    assert calls is not None
    calls[0](context.handle, True, False)


def state(context: Context, row: int) -> NDArray[np.float32]:
    """The hidden state of a row of the last batch, whether it wanted outputs or not; valid until the next."""
    calls = _calls()
    assert calls is not None
    return _row(calls[1], context, row)


def _row(get: Callable[..., int | None], context: Context, row: int) -> NDArray[np.float32]:
    address = get(context.handle, row)
    assert address is not None
    values: Any = (ctypes.c_float * context.width).from_address(address)
    return np.frombuffer(values, np.float32)


@functools.cache
def _calls() -> tuple[Callable[..., None], Callable[..., int | None]] | None:
    """The calls that set whether hidden states are kept, and that get one; None if they are not there."""
    try:
        set_states, get_state = (getattr(C._lib, name) for name in (_SET_STATES, _GET_STATE))
    except AttributeError:
        return None
    set_states.argtypes, set_states.restype = (ctypes.c_void_p, ctypes.c_bool, ctypes.c_bool), None
    get_state.argtypes, get_state.restype = (ctypes.c_void_p, ctypes.c_int32), ctypes.c_void_p
    return set_states, get_state
