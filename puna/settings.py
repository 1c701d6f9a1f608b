"""The settings from the environment: Ollama's names and formats (envconfig/config.go), and PUNA_…."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def _seconds(text: str) -> float | None:
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return FOREVER if int(text) < 0 else float(text)
    try:
        return parse_duration(text)
    except ValueError:
        return None


def _limit(text: str) -> float | None:
    return FOREVER if (seconds := _seconds(text)) == 0 else seconds


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _path(text: str) -> Path:
    """An absolute path: a printed Modelfile names blobs, and is read elsewhere."""
    return Path(os.path.expanduser(text)).absolute()


def _list(text: str) -> tuple[str, ...] | None:
    return tuple(word.strip() for word in text.split(",") if word.strip()) or None


def _kv_cache_type(text: str) -> KVCacheType | None:
    # Imported late: the command line's help does not need msgspec.
    from puna.options import kv_cache_type

    try:
        return kv_cache_type(text)
    except ValueError as error:
        _log.warning('OLLAMA_KV_CACHE_TYPE: "%s" %s; using %s', text, error, Settings.kv_cache_type)
        return None


def _log_level(text: str) -> int:
    """True and positive numbers mean DEBUG; -1 means warnings, -2 errors (envconfig/config.go, LogLevel)."""
    number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else int(text.lower() in ("t", "true"))
    return max(logging.DEBUG, logging.INFO - 10 * number)


def _boolean(text: str) -> bool:
    return text.lower() not in ("0", "f", "false")


def _is_json(text: str) -> bool:
    return text.lower() == "json"


def _setting(variable: str, read: Callable[[str], Any], default: Any) -> Any:
    """A field from the environment. `read` gets a text that is not empty; None counts as unset."""
    return field(default=default, metadata={"variable": variable, "read": read})


@dataclass(frozen=True)
class Settings:
    """The settings of the environment. Durations in seconds, sizes in tokens or bytes."""

    host: str = "127.0.0.1"
    """The address to serve on; empty for all addresses of this machine."""
    port: int = _PORT
    scheme: str = "http"
    path: str = ""
    """The path of the server below its address, behind a proxy: "/ollama"."""
    models: Path = _setting("OLLAMA_MODELS", _path, _HOME / ".ollama" / "models")
    keep_alive: float = _setting("OLLAMA_KEEP_ALIVE", _seconds, 300.0)
    load_timeout: float = _setting("OLLAMA_LOAD_TIMEOUT", _limit, 300.0)
    origins: tuple[str, ...] = _setting("OLLAMA_ORIGINS", _list, ())
    num_parallel: int = _setting("OLLAMA_NUM_PARALLEL", _count, 0)
    """Most sequences a model decodes at once; 0 lets Puna choose."""
    max_loaded_models: int = _setting("OLLAMA_MAX_LOADED_MODELS", _count, 0)
    """0 means as many as memory holds."""
    max_queue: int = _setting("OLLAMA_MAX_QUEUE", _count, 512)
    context_length: int = _setting("OLLAMA_CONTEXT_LENGTH", _count, 0)
    """0 means 4,096."""
    kv_cache_type: KVCacheType = _setting("OLLAMA_KV_CACHE_TYPE", _kv_cache_type, "f16")
    """The type of KV caches, unless a request or the model sets it."""
    flash_attention: bool | None = _setting("OLLAMA_FLASH_ATTENTION", _boolean, None)
    """None: where the model allows it."""
    log_level: int = _setting("OLLAMA_DEBUG", _log_level, logging.INFO)
    """The lowest level of messages in the log."""
    no_prune: bool = _setting("OLLAMA_NOPRUNE", _boolean, False)
    no_history: bool = _setting("OLLAMA_NOHISTORY", _boolean, False)
    """The interactive prompt keeps no history file."""
    no_cloud: bool = _setting("OLLAMA_NO_CLOUD", _boolean, False)
    """Reported by /api/status. There is no cloud either way."""
    go_template: bool | None = _setting("OLLAMA_GO_TEMPLATE", _boolean, None)
    """Prefer a model's Go template to the Jinja template in its GGUF file.

    None: unless the Jinja template has more features.
    """
    log_requests: bool = _setting("OLLAMA_DEBUG_LOG_REQUESTS", _boolean, False)
    """Store the bodies of inference requests in a folder."""
    transfer_streams: int = _setting("OLLAMA_MAX_TRANSFER_STREAMS", _count, 0)
    """Connections of a pull or a push; 0 lets Puna choose."""
    editor: str = _setting("OLLAMA_EDITOR", str, "")
    """The editor for prompts, before VISUAL and EDITOR."""
    spread: bool = _setting("OLLAMA_SCHED_SPREAD", _boolean, False)
    """Split every model over all GPUs, even if one has room for it."""
    gpu_overhead: int = _setting("OLLAMA_GPU_OVERHEAD", _count, 0)
    """Bytes of each GPU that stay free."""
    integrated: bool | None = _setting("OLLAMA_IGPU_ENABLE", _boolean, None)
    """Use integrated GPUs; None decides by their kind."""
    vulkan: bool = _setting("OLLAMA_VULKAN", _boolean, True)
    """Use GPUs through Vulkan."""
    llm_library: str = _setting("OLLAMA_LLM_LIBRARY", str, "")
    """The only backend to use ("cuda_v13" is CUDA, "cpu" is none)."""
    api_key: str = _setting("OLLAMA_API_KEY", str, "")
    """The key that a client sends to the server."""
    cache: int = _setting("PUNA_CACHE", _count, 8 << 30)
    """Bytes of the KV cache on disk; 0 for none."""
    cache_dir: Path | None = _setting("PUNA_CACHE_DIR", _path, None)
    """The folder of caches on disk; None: beside the models."""
    repack_cache: int = _setting("PUNA_REPACK_CACHE", _count, 8 << 30)
    """Bytes of packed weights on disk; 0 for none."""
    memory: int = _setting("PUNA_MEMORY", _count, 0)
    """Bytes for all models together; 0 for the machine's free memory."""
    search_url: str = _setting("PUNA_SEARCH_URL", str, "")
    """A SearXNG server, for web search."""
    fetch_private: bool = _setting("PUNA_FETCH_PRIVATE", _boolean, False)
    """Fetch media from private addresses, too."""
    keys: Path = _setting("PUNA_KEYS", _path, _HOME / ".ollama" / "puna-keys.json")
    """The file of the server's keys; without the file, requests need no key."""
    open: bool = _setting("PUNA_OPEN", _boolean, False)
    """Without keys, other machines may also manage models."""
    watchdog: float = _setting("PUNA_WATCHDOG", _limit, 30.0)
    """Seconds after which a hanging engine is killed; inf for never."""
    standby: bool = _setting("PUNA_STANDBY", _boolean, True)
    """An engine process without a model waits for the next load."""
    drain: float = _setting("PUNA_DRAIN", _seconds, 20.0)
    """Seconds for running answers to finish while the server stops."""
    tls_certificate: Path | None = _setting("PUNA_TLS_CERT", _path, None)
    """A PEM file, the certificate before its chain; the server then serves HTTPS only."""
    tls_key: Path | None = _setting("PUNA_TLS_KEY", _path, None)
    """The certificate's key, if it is not in the same file."""
    registries: tuple[str, ...] = _setting("PUNA_REGISTRIES", _list, ("*",))
    """Allowed registries; "*" matches any text."""
    log_json: bool = _setting("PUNA_LOG", _is_json, False)
    """The log is JSON, one object per line."""
    kernels: str = _setting("PUNA_KERNELS", str, "")
    """"0" for none, "weights" or "attention" for one kind, or the only variant ("avx2")."""

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
        values: dict[str, Any] = {"host": host, "port": port, "path": path, "scheme": scheme}
        for one in fields(cls):
            if one.metadata and (text := get(one.metadata["variable"])):
                value = one.metadata["read"](text)
                if value is not None:
                    values[one.name] = value
        return cls(**values)


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
