"""The proxy for a URL: from the environment, or from the system's settings.

NO_PROXY means what it does in Go (golang.org/x/net/http/httpproxy), as in Ollama: besides names, it may have
networks ("10.0.0.0/8") and patterns ("*.lan"), and this machine itself needs no proxy. ALL_PROXY counts for
nothing.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str:
    """The URL of the proxy for `url`; empty for none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme, "")
    host = (parts.hostname or "").lower()
    if _is_loopback(host) or proxy_bypass(parts.netloc) or _is_listed(host, proxies.get("no", "")):
        return ""
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_listed(host: str, no_proxy: str) -> bool:
    """Whether a network or a pattern in `no_proxy` has the host; `proxy_bypass` knows only names."""
    for entry in no_proxy.lower().replace(",", " ").split():
        if entry.startswith("*.") and host.endswith(entry[1:]):
            return True
        with suppress(ValueError):  # A name, not an address or a network.
            if "/" in entry and ip_address(host) in ip_network(entry, strict=False):
                return True
    return False
