"""What an engine is loaded with, on which devices, and what it reports."""

from __future__ import annotations

import msgspec

from puna.options import KVCacheType


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Which devices an engine may use and what goes there; none of it is on the host alone."""

    devices: tuple[str, ...] = ()
    """Their names, in the order of the layers."""
    split: tuple[int, ...] = ()
    """Layers on each, the output counted as one; those before them are on the host."""
    overrides: tuple[tuple[str, str], ...] = ()
    """Patterns of tensors' names, and the device, or "CPU", where those tensors are."""

    @property
    def layers(self) -> int:
        return sum(self.split)

    @property
    def last(self) -> str:
        """The device with the output; "" if there is none."""
        pairs = zip(self.devices, self.split, strict=True)
        return next((name for name, layers in reversed([*pairs]) if layers), "")


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine process is started with. Paths are absolute; sizes are in tokens."""

    path: str
    num_ctx: int
    """Longest sequence a request may have."""
    pool: int
    """KV cells shared by all sequences, ≥ num_ctx."""
    cache: int = 0
    """Bytes that the KV of finished sequences may take outside the pool."""
    disk: str = ""
    """Folder in which it outlives the engine; empty: it does not."""
    disk_limit: int = 0
    """Bytes that the folder may take, all models together."""
    parallel: int
    """Most sequences decoded at once."""
    embedding: bool = False
    """The model turns text into vectors, or ranks."""
    ranking: bool = False
    """The model says how well a document answers a query."""
    num_batch: int = 512
    num_thread: int = 0
    num_gpu: int = -1
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    n_cpu_moe: int = 0
    override_tensor: tuple[str, ...] = ()
    """As the options that were asked for; `placed` is what came of them."""
    placed: Placed = Placed()
    use_mmap: bool | None = None
    kv_cache_type: KVCacheType = "f16"
    flash_attention: bool | None = None
    """None: where the model allows it."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters (GGUF files) laid over the weights, each at full strength."""
    draft: str = ""
    """The GGUF file of a smaller model that guesses what this one says; empty when there is none."""
    projector: str = ""
    """The GGUF file that turns pictures and sounds into embeddings; empty when the model takes none."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that libllama can use; sizes in bytes (ggml-backend.h, `ggml_backend_dev_props`)."""

    name: str
    """What buffers on it and settings call it: "CUDA0", "Vulkan1", "MTL0"."""
    description: str
    backend: str
    """"CUDA", "ROCm", "Vulkan", "MTL", "SYCL"."""
    shared: bool
    """Its memory is the host's: an integrated GPU's, and those of Apple's processors."""
    id: str = ""
    """Its place on the PCI bus ("0000:c1:00.0"), where that is known."""
    total: int
    free: int


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs of this machine that models may be placed on."""

    backends: tuple[str, ...] = ()
    """What libllama was compiled with besides the CPU: "cuda", "vulkan"."""
    devices: tuple[Device, ...] = ()
    problem: str = ""
    """One sentence on why there are not more; empty if nothing is wrong."""


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What libllama foresees that a model takes beside its weights; sizes in bytes."""

    cache: int
    """KV cache and recurrent states, in all memories."""
    devices: dict[str, int] = {}
    """Work buffers on each device that is used."""
    host: int
    """Work buffers elsewhere."""


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded engine reports."""

    num_ctx: int
    """Longest sequence a request may have, in tokens, after the model's own limit was applied."""
    embedding: bool
    """The model turns text into vectors and does not generate."""
    size: int
    """Bytes of weights, KV and compute buffers."""
    size_vram: int
    devices: dict[str, int] = {}
    """Bytes of `size_vram` on each device that is used."""
    n_embd: int
    vision: bool = False
    """It takes images."""
    audio: bool = False
    """It takes sounds."""
