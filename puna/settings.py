"""The settings from the environment: Ollama's names and formats (envconfig/config.go), and PUNA_…."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from puna.options import KVCacheType

_log = logging.getLogger(__name__)

FOREVER = float("inf")
OLLAMA_LEVEL = "0.32.15"
"""The Ollama release whose API Puna implements. Clients enable features by it (`/api/version`)."""


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # No HOME, and a user whom the system does not know, as in some containers.
        raise SystemExit("Error: $HOME is not defined") from None


_HOME = _home()
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PORT = 11434
_HOST_AND_PORT = re.compile(r"(?:\[(?P<bracketed>[^]]*)\]|(?P<plain>[^:\[\]]*)):(?P<port>[^:]*)")
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds in a Go duration such as "5m" or "1h30m"; negative means forever.

    A bare "0" is allowed, as in Go's time.ParseDuration. Raises ValueError with Go's wording.
    """
    body = text[1:] if text[:1] in "+-" else text
    if body == "0":
        return 0.0
    seconds, at = 0.0, 0
    for term in _TERM.finditer(body):
        if term.start() != at:
            break
        seconds += float(term[1]) * _UNITS[term[2]]
        at = term.end()
    if not body or at != len(body):
        number_only = re.fullmatch(r"\d+\.?\d*|\.\d+", body)
        reason = "missing unit in duration" if number_only else "invalid duration"
        raise ValueError(f'time: {reason} "{text}"')
    return FOREVER if text.startswith("-") and seconds else seconds


@dataclass(frozen=True)
class Settings:
    """The settings of the environment. Durations in seconds, sizes in tokens or bytes."""

    host: str = "127.0.0.1"
    """The address to serve on; empty for all addresses of this machine."""
    port: int = _PORT
    scheme: str = "http"
    path: str = ""
    """The path of the server below its address, behind a proxy: "/ollama"."""
    models: Path = _HOME / ".ollama" / "models"
    keep_alive: float = 300.0
    load_timeout: float = 300.0
    origins: tuple[str, ...] = ()
    num_parallel: int = 0
    """Most sequences a model decodes at once; 0 lets Puna choose."""
    max_loaded_models: int = 0
    """0 means as many as memory holds."""
    max_queue: int = 512
    context_length: int = 0
    """0 means 4,096."""
    kv_cache_type: KVCacheType = "f16"
    """OLLAMA_KV_CACHE_TYPE: the type of KV caches, unless a request or the model sets it."""
    flash_attention: bool | None = None
    """OLLAMA_FLASH_ATTENTION; None: where the model allows it."""
    log_level: int = logging.INFO
    """OLLAMA_DEBUG: the lowest level of messages in the log."""
    no_prune: bool = False
    no_history: bool = False
    """The interactive prompt keeps no history file."""
    cache: int = 8 << 30
    """PUNA_CACHE: bytes of the KV cache on disk; 0 for none."""
    cache_dir: Path | None = None
    """PUNA_CACHE_DIR: the folder of caches on disk; None: beside the models."""
    repack_cache: int = 8 << 30
    """PUNA_REPACK_CACHE: bytes of packed weights on disk; 0 for none."""
    memory: int = 0
    """PUNA_MEMORY: bytes for all models together; 0 for the machine's free memory."""
    no_cloud: bool = False
    """OLLAMA_NO_CLOUD: reported by /api/status. There is no cloud either way."""
    go_template: bool | None = None
    """OLLAMA_GO_TEMPLATE: prefer a model's Go template to the Jinja template in its GGUF file.

    None: unless the Jinja template has more features.
    """
    log_requests: bool = False
    """OLLAMA_DEBUG_LOG_REQUESTS: store the bodies of inference requests in a folder."""
    transfer_streams: int = 0
    """OLLAMA_MAX_TRANSFER_STREAMS: connections of a pull or a push; 0 lets Puna choose."""
    editor: str = ""
    """OLLAMA_EDITOR: the editor for prompts, before VISUAL and EDITOR."""
    search_url: str = ""
    """PUNA_SEARCH_URL: a SearXNG server, for web search."""
    fetch_private: bool = False
    """PUNA_FETCH_PRIVATE: fetch media from private addresses, too."""
    spread: bool = False
    """OLLAMA_SCHED_SPREAD: split every model over all GPUs, even if one has room for it."""
    gpu_overhead: int = 0
    """OLLAMA_GPU_OVERHEAD: bytes of each GPU that stay free."""
    integrated: bool | None = None
    """OLLAMA_IGPU_ENABLE: use integrated GPUs; None decides by their kind."""
    vulkan: bool = True
    """OLLAMA_VULKAN: use GPUs through Vulkan."""
    llm_library: str = ""
    """OLLAMA_LLM_LIBRARY: the only backend to use ("cuda_v13" is CUDA, "cpu" is none)."""
    keys: Path = _HOME / ".ollama" / "puna-keys.json"
    """PUNA_KEYS: the file of the server's keys; without the file, requests need no key."""
    open: bool = False
    """PUNA_OPEN: without keys, other machines may also manage models."""
    api_key: str = ""
    """OLLAMA_API_KEY: the key that a client sends to the server."""
    watchdog: float = 30.0
    """PUNA_WATCHDOG: seconds after which a hanging engine is killed; inf for never."""
    standby: bool = True
    """PUNA_STANDBY: an engine process without a model waits for the next load."""
    drain: float = 20.0
    """PUNA_DRAIN: seconds for running answers to finish while the server stops."""
    tls_certificate: Path | None = None
    """PUNA_TLS_CERT: a PEM file, the certificate before its chain; the server then serves HTTPS only."""
    tls_key: Path | None = None
    """PUNA_TLS_KEY: the certificate's key, if it is not in the same file."""
    registries: tuple[str, ...] = ("*",)
    """PUNA_REGISTRIES: allowed registries; "*" matches any text."""
    log_json: bool = False
    """PUNA_LOG=json: the log is JSON, one object per line."""
    kernels: str = ""
    """PUNA_KERNELS: "0" for none, "weights" or "attention" for one kind, or the only variant ("avx2")."""

    @property
    def url(self) -> str:
        """The URL for clients on this machine; loopback stands for "all addresses"."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.path}"

    @property
    def cache_folder(self) -> Path:
        """The folder of caches on disk."""
        return self.cache_dir or self.models.parent / "puna-cache"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Settings from the environment; an invalid value counts as unset, as in Ollama."""
        get = lambda name: environment.get(name, "").strip().strip("\"'").strip()  # noqa: E731
        scheme, host, port, path = _parse_host(get("OLLAMA_HOST"))
        return cls(
            host=host,
            port=port,
            path=path,
            scheme=scheme,
            models=_path(get("OLLAMA_MODELS")) or cls.models,
            keep_alive=_seconds(get("OLLAMA_KEEP_ALIVE"), cls.keep_alive),
            load_timeout=_seconds(get("OLLAMA_LOAD_TIMEOUT"), cls.load_timeout) or FOREVER,
            origins=_list(get("OLLAMA_ORIGINS")),
            num_parallel=_count(get("OLLAMA_NUM_PARALLEL"), cls.num_parallel),
            max_loaded_models=_count(get("OLLAMA_MAX_LOADED_MODELS"), cls.max_loaded_models),
            max_queue=_count(get("OLLAMA_MAX_QUEUE"), cls.max_queue),
            context_length=_count(get("OLLAMA_CONTEXT_LENGTH"), cls.context_length),
            kv_cache_type=_kv_cache_type(get("OLLAMA_KV_CACHE_TYPE")),
            flash_attention=_optional_boolean(get("OLLAMA_FLASH_ATTENTION")),
            log_level=_log_level(get("OLLAMA_DEBUG")),
            no_prune=_boolean(get("OLLAMA_NOPRUNE")),
            no_history=_boolean(get("OLLAMA_NOHISTORY")),
            no_cloud=_boolean(get("OLLAMA_NO_CLOUD")),
            go_template=_optional_boolean(get("OLLAMA_GO_TEMPLATE")),
            log_requests=_boolean(get("OLLAMA_DEBUG_LOG_REQUESTS")),
            transfer_streams=_count(get("OLLAMA_MAX_TRANSFER_STREAMS"), cls.transfer_streams),
            editor=get("OLLAMA_EDITOR"),
            search_url=get("PUNA_SEARCH_URL"),
            cache=_count(get("PUNA_CACHE"), cls.cache),
            cache_dir=_path(get("PUNA_CACHE_DIR")),
            repack_cache=_count(get("PUNA_REPACK_CACHE"), cls.repack_cache),
            memory=_count(get("PUNA_MEMORY"), cls.memory),
            fetch_private=_boolean(get("PUNA_FETCH_PRIVATE")),
            spread=_boolean(get("OLLAMA_SCHED_SPREAD")),
            gpu_overhead=_count(get("OLLAMA_GPU_OVERHEAD"), cls.gpu_overhead),
            integrated=_optional_boolean(get("OLLAMA_IGPU_ENABLE")),
            vulkan=_boolean(get("OLLAMA_VULKAN") or "1"),
            llm_library=get("OLLAMA_LLM_LIBRARY"),
            keys=_path(get("PUNA_KEYS")) or cls.keys,
            open=_boolean(get("PUNA_OPEN")),
            api_key=get("OLLAMA_API_KEY"),
            watchdog=_seconds(get("PUNA_WATCHDOG"), cls.watchdog) or FOREVER,
            standby=_boolean(get("PUNA_STANDBY") or "1"),
            drain=_seconds(get("PUNA_DRAIN"), cls.drain),
            tls_certificate=_path(get("PUNA_TLS_CERT")),
            tls_key=_path(get("PUNA_TLS_KEY")),
            registries=_list(get("PUNA_REGISTRIES")) or cls.registries,
            log_json=get("PUNA_LOG").lower() == "json",
            kernels=get("PUNA_KERNELS"),
        )


def _parse_host(text: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of OLLAMA_HOST (Ollama envconfig/config.go, Host)."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = ("https", "ollama.com:443") if text == "ollama.com" else ("http", text)
    default = {"http": 80, "https": 443}.get(scheme, _PORT) if separator else _PORT
    rest, _, path = rest.partition("/")
    split = _HOST_AND_PORT.fullmatch(rest)
    if split:
        host, port = split["bracketed"] or split["plain"] or "", _port(split["port"], default)
    else:
        host, port = rest.strip("[]") or Settings.host, default
    if ":" in host:
        # Imported late: every command reads the settings, but few addresses need it.
        from ipaddress import ip_address

        with suppress(ValueError):
            host = str(ip_address(host))
    return scheme, host, port, f"/{path.rstrip('/')}" if path else ""


def _port(text: str, default: int) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,9}", text) and 0 <= int(text) < 65536:
        return int(text)
    _log.warning('OLLAMA_HOST: invalid port "%s", using %d', text, default)
    return default


def _seconds(text: str, default: float) -> float:
    if re.fullmatch(r"-?\d+", text):
        return FOREVER if text.startswith("-") and int(text) else float(text)
    try:
        return parse_duration(text) if text else default
    except ValueError:
        return default


def _count(text: str, default: int) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else default


def _path(text: str) -> Path | None:
    """An absolute path: a printed Modelfile names blobs, and is read elsewhere."""
    return Path(os.path.expanduser(text)).absolute() if text else None


def _list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _kv_cache_type(text: str) -> KVCacheType:
    if not text:
        return Settings.kv_cache_type
    # Imported late: the command line's help does not need msgspec.
    from puna.options import kv_cache_type

    try:
        return kv_cache_type(text)
    except ValueError as error:
        _log.warning('OLLAMA_KV_CACHE_TYPE: "%s" %s; using %s', text, error, Settings.kv_cache_type)
        return Settings.kv_cache_type


def _log_level(text: str) -> int:
    """True and positive numbers mean DEBUG; -1 means warnings, -2 errors (envconfig/config.go, LogLevel)."""
    number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else int(text.lower() in ("t", "true"))
    return max(logging.DEBUG, logging.INFO - 10 * number)


def _boolean(text: str) -> bool:
    return text.lower() not in ("", "0", "f", "false")


def _optional_boolean(text: str) -> bool | None:
    return _boolean(text) if text else None
