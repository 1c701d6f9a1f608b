"""MTP layers ("next-n"): which files have usable ones, and libllama's calls for hidden states.

These calls are in no public header, so the bindings lack them. They are looked up by their C++ names in the
pinned release. The tensors that graphs need are from the same release (src/models): libllama aborts if one
is missing.
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
"""Tested architectures, and the tensors that their MTP graphs need but a load does not check."""

_SECTIONS = "rope.dimension_sections"
_UNSUPPORTED = {
    _SECTIONS: "positions of several dimensions",
    "attention.temperature_scale": "scaled attention",
}
"""Metadata keys of features that the MTP graphs lack, although the model's own graph has them."""

_MROPE = ("qwen35", "qwen35moe")
"""Architectures whose MTP graph supports positions of several dimensions."""


def obstacle(metadata: Metadata) -> str | None:
    """Why a model's MTP layer cannot draft; "" if it can, None if the model has none."""
    layers = metadata.arch("nextn_predict_layers")
    if not isinstance(layers, int) or layers < 1:
        return None
    graph = _GRAPHS.get(metadata.architecture)
    if graph is None:
        return f"{metadata.architecture} is not an architecture whose MTP layer is used"
    if layers > 1:
        return f"it has {layers} of them, and {metadata.architecture} is used with one"
    for key, feature in _UNSUPPORTED.items():
        if key == _SECTIONS and metadata.architecture in _MROPE:
            continue
        value = metadata.arch(key)
        if any(value) if isinstance(value, list) else value:
            return f"it is not made for {feature}, which the model has"
    if _calls() is None:
        return "this build of libllama does not hand over hidden states"
    block = f"blk.{metadata.arch('block_count', 0) - 1}"
    present = {tensor.name for tensor in metadata.tensors}
    # With nextn.eh_proj present, libllama checks the other tensors itself.
    names = (f"{block}.{part}.weight" for part in ("nextn.eh_proj", *graph))
    missing = next((name for name in names if name not in present), "")
    return f"{missing} is missing" if missing else ""


class HeadContext(Context):
    """The context of a model's MTP layer. A row has a token, and the hidden state of the token before it."""

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
        """`n_outputs`: most rows of a batch in which all rows have outputs. Raises LoadFailed."""
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
        # Masked: graphs differ in whether they keep rows without output.
        set_states(self.handle, True, True)

    def _make_batch(self, size: int) -> None:
        super()._make_batch(size)
        self.states = np.zeros((size, self.width), np.float32)
        """The hidden state of each row of the batch."""
        self._batch.embd = ctypes.cast(self.states.ctypes.data, ctypes.POINTER(ctypes.c_float))

    def state(self, row: int) -> NDArray[np.float32]:
        """The layer's own hidden state of a row with output; valid until the next decode."""
        return _row(self._get_state, self, row)


def reveal_states(context: Context) -> None:
    """Make a model's context keep the hidden states of all rows of its last batch."""
    calls = _calls()
    assert calls is not None
    calls[0](context.handle, True, False)


def state(context: Context, row: int) -> NDArray[np.float32]:
    """The hidden state of a row of the last batch, with output or not; valid until the next decode."""
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
    """llama_set_embeddings_nextn and llama_get_embeddings_nextn_ith; None if the build lacks them."""
    try:
        set_states, get_state = (getattr(C._lib, name) for name in (_SET_STATES, _GET_STATE))
    except AttributeError:
        return None
    set_states.argtypes, set_states.restype = (ctypes.c_void_p, ctypes.c_bool, ctypes.c_bool), None
    get_state.argtypes, get_state.restype = (ctypes.c_void_p, ctypes.c_int32), ctypes.c_void_p
    return set_states, get_state
