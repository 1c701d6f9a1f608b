"""How much memory a model takes, and how much there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from puna.load import HEAD_OUTPUTS
from puna.options import KVCacheType

PROCESS = 64 << 20  # an interpreter with libllama loaded, before any model
ENCODER_CACHE = 256 << 20  # encoded pictures and sounds that an engine keeps
_PICTURES = 4  # of any size that fit in a context
_MOST_PATCHES = 1 << 14
_FRAMES = 1500  # of half a minute of sound, in an encoder like Whisper's
_KV_BITS: dict[KVCacheType, float] = {"f16": 16, "bf16": 16, "f32": 32, "q8_0": 8.5, "q4_0": 4.5}
_MOST_LAYERS = 4096  # a damaged file may claim any number
_CGROUP = Path("/sys/fs/cgroup")


class SizeFacts(Protocol):
    """The part of a GGUF file's metadata that sizes depend on; `arch(k)` is the key `<architecture>.k`."""

    def arch(self, key: str, default: Any = None) -> Any: ...

    def get(self, key: str, default: Any = None) -> Any: ...


@dataclass(frozen=True)
class Footprint:
    """What a loaded model takes, in bytes."""

    weights: int
    kv_per_token: int
    compute: int
    """Work buffers, the engine's process, the fixed state each sequence of a recurrent model has, and
    what finished sequences may take outside the pool."""
    state: int = 0
    """What one sequence of a recurrent model has, whatever its length."""

    def total(self, pool: int) -> int:
        """Bytes with `pool` KV cells."""
        return self.weights + self.kv_per_token * pool + self.compute


def estimate(
    metadata: SizeFacts,
    weights_size: int,
    num_ctx: int,
    *,
    num_batch: int = 512,
    states: int = 1,
    rollback: int = 0,
    kv_cache_type: KVCacheType = "f16",
    flash_attention: bool | None = None,
) -> Footprint:
    """What a model of `weights_size` bytes takes, for at most `num_ctx` KV cells and `states` sequences.

    A recurrent one keeps the states of `rollback` more tokens of each. The metadata keys are those of the
    GGUF specification. The work buffers are those that libllama reserves: the larger of a full batch of
    logits and one layer's activations, which without flash attention have the scores of all heads among them.
    """
    embedding = count(metadata.arch("embedding_length"))
    kv_heads = _heads(metadata)
    # An encoder (BERT) sees its whole text at once: no KV cache, no logits, batches as long as the context.
    encoder = metadata.arch("attention.causal", True) is False
    batch = max(num_batch, num_ctx) if encoder else num_batch
    logits = 0 if encoder else 4 * (_vocabulary(metadata) + 2 * embedding)
    attends, scores = encoder or any(kv_heads), flash_attention is False and not encoder
    layer = _layer(metadata, num_ctx, attends=attends, scores=scores)
    layers, layer_state = _states(metadata, kv_heads)
    state = layers * layer_state
    # A layer computes the states that it keeps from those that it has read, and then stores them.
    computed = states * (rollback + 3) * layer_state if rollback else 0
    numbers = sum(kv_heads) * sum(head_sizes(metadata))
    return Footprint(
        weights=weights_size,
        kv_per_token=0 if encoder else math.ceil(numbers * _KV_BITS[kv_cache_type] / 8),
        compute=PROCESS + batch * max(logits, layer) + states * (1 + rollback) * state + computed,
        state=state,
    )


def estimate_head(metadata: SizeFacts, num_ctx: int, *, num_batch: int, flash_attention: bool | None) -> int:
    """Bytes that a model's MTP layer takes to draft, 0 without one.

    Its weights and its KV cache are not included: `estimate` counts them with the other layers.
    """
    if not count(metadata.arch("nextn_predict_layers")):
        return 0
    states = 4 * 2 * count(metadata.arch("embedding_length"))
    logits = HEAD_OUTPUTS * 4 * _vocabulary(metadata)
    layer = _layer(metadata, num_ctx, attends=True, scores=flash_attention is False)
    return logits + num_batch * (states + layer)


def _layer(metadata: SizeFacts, num_ctx: int, *, attends: bool, scores: bool) -> int:
    """Bytes of one layer's activations for a token: `attends` adds its mask, `scores` those of all heads."""
    embedding = count(metadata.arch("embedding_length"))
    size = 4 * (3 * count(metadata.arch("feed_forward_length")) + 4 * embedding)
    if attends:
        masks = 2 if count(metadata.arch("attention.sliding_window")) else 1
        size += 2 * masks * num_ctx
    if scores:
        size += 4 * (count(metadata.arch("attention.head_count")) + 1) * num_ctx
    return size


def estimate_projector(projector: SizeFacts, size: int, num_ctx: int) -> int:
    """Bytes that a projector file of `size` bytes takes, for a context of `num_ctx` tokens.

    These are the weights, the activations for the largest picture and for a sound, which libmtmd reserves,
    and the encoder cache. The keys are llama.cpp's (tools/mtmd/clip-impl.h).
    """
    side = count(projector.arch("vision.image_size")) // max(1, count(projector.arch("vision.patch_size")))
    # Where the projector chooses the size, a picture makes one token of four patches.
    patches = min(max(side**2, 4 * (num_ctx // _PICTURES)), _MOST_PATCHES)
    work = patches * _activations(projector, "vision") + _FRAMES * _activations(projector, "audio")
    return size + work + ENCODER_CACHE


def _activations(projector: SizeFacts, sense: str) -> int:
    """Bytes of a layer for each patch of a picture or frame of a sound; 0 if it lacks the sense."""
    inner = count(projector.arch(f"{sense}.embedding_length"))
    return 4 * (count(projector.arch(f"{sense}.feed_forward_length")) + 6 * inner)


def count(value: Any, default: int = 0) -> int:
    """A whole number of a file's metadata, the largest if there is one for each layer.

    Anything else gives `default`, because the engine reports what is wrong with a file.
    """
    if isinstance(value, (list, tuple)):
        return max((count(v) for v in value), default=default)
    return max(0, value) if isinstance(value, int) else default


def _heads(metadata: SizeFacts) -> list[int]:
    """KV heads of each layer; 0 for a recurrent layer."""
    heads = metadata.arch("attention.head_count_kv", metadata.arch("attention.head_count"))
    if isinstance(heads, (list, tuple)):
        return [count(h) for h in heads]
    layers = min(count(metadata.arch("block_count")), _MOST_LAYERS)
    every = count(metadata.arch("full_attention_interval"), 1) or 1
    trunk = layers - count(metadata.arch("nextn_predict_layers"))
    return [0 if at < trunk and (at + 1) % every else count(heads) for at in range(layers)]


def kv_shares(metadata: SizeFacts, layers: int) -> list[float]:
    """Which part of the KV cache each of `layers` layers has."""
    heads = [*_heads(metadata), *[0] * layers][:layers]
    total = sum(heads)
    return [head / total for head in heads] if total else [1 / max(1, layers)] * layers


def head_sizes(metadata: SizeFacts) -> tuple[int, int]:
    """Numbers a KV head keeps for a token: its key's and its value's; 0 where no layer has such heads."""
    if not any(_heads(metadata)):
        return 0, 0
    heads = count(metadata.arch("attention.head_count"), 1)
    default = count(metadata.arch("embedding_length")) // max(1, heads)
    lengths = (metadata.arch(f"attention.{part}_length") for part in ("key", "value"))
    key, value = (count(length, default) for length in lengths)
    return key, value


def _states(metadata: SizeFacts, kv_heads: list[int]) -> tuple[int, int]:
    """Recurrent layers, and the bytes of one's state (f32): of its convolution, and of its state space.

    The second is 0 for a pure transformer.
    """
    inner = count(metadata.arch("ssm.inner_size"))
    width = count(metadata.arch("ssm.state_size"))
    groups = count(metadata.arch("ssm.group_count"))
    convolution = max(0, count(metadata.arch("ssm.conv_kernel")) - 1) * (inner + 2 * groups * width)
    embedding = count(metadata.arch("embedding_length"))
    convolution += max(0, count(metadata.arch("shortconv.l_cache")) - 1) * embedding
    forward = metadata.arch("feed_forward_length")
    # Where layers differ, one that neither attends nor feeds forward is recurrent (Nemotron-H).
    widths = forward if isinstance(forward, (list, tuple)) else []
    neither = sum(not (heads or count(size)) for heads, size in zip(kv_heads, widths, strict=False))
    return neither or kv_heads.count(0) or len(kv_heads), 4 * (convolution + inner * width)


def _vocabulary(metadata: SizeFacts) -> int:
    tokens = metadata.get("tokenizer.ggml.tokens")
    return count(metadata.arch("vocab_size")) or (len(tokens) if isinstance(tokens, Sized) else 0)


def free_memory() -> int:
    """Bytes this process and its children could still take: the machine's, or the container's if less."""
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cached = next(
            int(line.split()[1])
            for line in (_CGROUP / "memory.stat").read_text().splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, ValueError, StopIteration):
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - used + cached))


class Budget:
    """The memory for all runners together: a fixed number of bytes, or (0) the machine's free memory."""

    def __init__(self, fixed: int, measure: Callable[[], int] = free_memory) -> None:
        self._fixed = fixed
        self._measure = measure
        self._most = 0

    def room(self, used: int, loading: int) -> tuple[int, int]:
        """Bytes that a new runner may take now, and in an empty machine.

        `used`: of all runners, by estimate. `loading`: of those among them that are still loading.
        """
        if self._fixed:
            return self._fixed - used, self._fixed
        free = self._measure()
        # The system counts mapped weights as free, so the most that was ever free bounds the sum as well.
        self._most = max(self._most, free) if used else free
        return min(self._most - used, free - loading), self._most


def human_size(size: int) -> str:
    """A size as Ollama writes it in errors (format/bytes.go, HumanBytes2): "5.0 GiB"."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            return f"{size / (1 << shift):.1f} {unit}"
    return f"{max(0, size)} B"
