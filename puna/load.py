"""The parameters of an engine's load, the devices, and the engine's report."""

from __future__ import annotations

import msgspec

from puna.options import KVCacheType

HEAD_OUTPUTS = 64
"""Most rows of an MTP layer's batch that may have outputs: enough for every answer of a step."""

ROLLBACKS = {
    "lfm2": 15,
    "lfm2moe": 15,
    "nemotron_h": 7,
    "nemotron_h_moe": 7,
    "nemotron_h_omni": 7,
    "qwen35": 3,
    "qwen35moe": 3,
}
"""Hybrid architectures whose states libllama rolls back, and by how many tokens at most.

Keeping earlier states is free for LFM2. It slows Nemotron-H's steps of several rows, and Qwen 3.5 even in
plain decode, so they keep fewer."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of an engine, and the layers and tensors on them. Without devices all is on the host."""

    devices: tuple[str, ...] = ()
    """Their names, in the order of the layers."""
    split: tuple[int, ...] = ()
    """Layers on each device, counting the output as one; earlier layers are on the host."""
    overrides: tuple[tuple[str, str], ...] = ()
    """Patterns of tensors' names, and the device (or "CPU") of those tensors."""

    @property
    def layers(self) -> int:
        return sum(self.split)

    @property
    def last(self) -> str:
        """The device with the output; "" for the host."""
        pairs = zip(self.devices, self.split, strict=True)
        return next((name for name, layers in reversed([*pairs]) if layers), "")


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of an engine process. Paths are absolute; sizes are in tokens."""

    path: str
    num_ctx: int
    """Longest sequence a request may have."""
    pool: int
    """KV cells shared by all sequences, ≥ num_ctx."""
    cache: int = 0
    """Most bytes for the KV of finished sequences outside the pool."""
    disk: str = ""
    """Folder in which this KV outlives the engine; empty for none."""
    disk_limit: int = 0
    """Most bytes in the folder, for all models together."""
    repack: str = ""
    """Folder in which packed weights outlive the engine; empty for none."""
    repack_limit: int = 0
    """Most bytes in that folder, for all models together."""
    parallel: int
    """Most sequences decoded at once."""
    embedding: bool = False
    """The model embeds or ranks."""
    ranking: bool = False
    """The model ranks documents."""
    num_batch: int = 512
    num_thread: int = 0
    num_gpu: int = -1
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    n_cpu_moe: int = 0
    override_tensor: tuple[str, ...] = ()
    """The requested GPU options; `placed` is their result."""
    placed: Placed = Placed()
    use_mmap: bool | None = None
    kv_cache_type: KVCacheType = "f16"
    flash_attention: bool | None = None
    """None: where the model allows it."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters (GGUF files) for the weights, each at full strength."""
    rollback: int = 0
    """Most tokens at the end of a recurrent model's sequence that can be forgotten: drafts are no longer."""
    draft: str = ""
    """The GGUF file of a draft model; empty for none."""
    projector: str = ""
    """The GGUF file of the projector for images and sounds; empty for none."""

    @property
    def files(self) -> tuple[str, ...]:
        """The model's files: weights, adapters, projector, draft model."""
        return (self.path, *self.adapters, *filter(None, (self.projector, self.draft)))

    @property
    def states(self) -> int:
        """States that a recurrent model's context has room for: of the running sequences, of as many
        finished ones, and one spare."""
        return 2 * self.parallel + 1


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that libllama can use; sizes in bytes (ggml-backend.h, `ggml_backend_dev_props`)."""

    name: str
    """Its name in buffers and settings: "CUDA0", "Vulkan1", "MTL0"."""
    description: str
    backend: str
    """"CUDA", "ROCm", "Vulkan", "MTL", "SYCL"."""
    shared: bool
    """It shares the host's memory: an integrated GPU, or one of Apple's processors."""
    id: str = ""
    """Its PCI address ("0000:c1:00.0"), if known."""
    total: int
    free: int


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs of this machine that models may be placed on."""

    backends: tuple[str, ...] = ()
    """The backends that libllama was compiled with beside the CPU: "cuda", "vulkan"."""
    devices: tuple[Device, ...] = ()
    problem: str = ""
    """One sentence on why GPUs are missing; empty if none are."""


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """libllama's estimate of a model's memory beside its weights; sizes in bytes."""

    cache: int
    """KV cache and recurrent states, in all memories."""
    devices: dict[str, int] = {}
    """Work buffers on each used device."""
    host: int
    """Work buffers elsewhere."""


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded engine's report."""

    num_ctx: int
    """Longest sequence a request may have, in tokens, after the model's own limit was applied."""
    embedding: bool
    """The model embeds and does not generate."""
    size: int
    """Bytes of weights, KV and compute buffers."""
    size_vram: int
    devices: dict[str, int] = {}
    """Bytes of `size_vram` on each device that is used."""
    n_embd: int
    vision: bool = False
    """It accepts images."""
    audio: bool = False
    """It accepts sounds."""
