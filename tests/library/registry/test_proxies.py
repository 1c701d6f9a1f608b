"""The environment's proxies, and HTTPS through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.errors import PunaError
from puna.library import Library, pull
from puna.proxies import proxy_for
from tests.library.registry.conftest import LIMITS, MODEL, WEIGHTS
from tests.library.registry.secure import made_certificate, tls, tunnel
from tests.registries import Line

VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(library: Library, host: str, key: Path, *, insecure: bool = True) -> bytes:
    pull(library, f"{host}/{MODEL}", lambda step: None, insecure=insecure, key=key, limits=LIMITS)
    return library.open(f"{host}/{MODEL}").weights.read_bytes()


@pytest.mark.parametrize("form", ["http://{}", "{}", "http://me:se%20cret@{}"])
def test_http_goes_through_the_proxy(
    way: Line, library: Library, key: Path, monkeypatch: pytest.MonkeyPatch, form: str
):
    """The name exists for the proxy alone."""
    monkeypatch.setenv("HTTP_PROXY", form.format(way.host))
    assert fetch(library, "registry.invalid:5000", key) == WEIGHTS
    login = "Basic bWU6c2UgY3JldA==" if "@" in form else None
    assert {asked.headers.get("Proxy-Authorization") for asked in way.asked} == {login}


def test_a_registry_on_this_machine_needs_no_proxy(
    hub: str, library: Library, key: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert fetch(library, hub, key) == WEIGHTS


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        *((host, True) for host in ("corp.lan", "a.corp.lan", "A.B.x.org", "10.1.2.3:5000", "[fd00::9]:80")),
        *((host, True) for host in ("localhost:5000", "[::1]:5000", "127.9.9.9", "reg.lan:5000")),
        *((host, False) for host in ("x.org", "acorp.lan", "11.1.2.3", "[fe00::9]", "reg.lan", "10.lan")),
    ],
)
def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch, host: str, direct: bool):
    monkeypatch.setenv("HTTP_PROXY", "proxy.lan:3128")
    monkeypatch.setenv("NO_PROXY", "corp.lan, *.x.org,10.0.0.0/8,fd00::/8,reg.lan:5000,/")
    assert proxy_for(f"http://{host}/v2/") == ("" if direct else "http://proxy.lan:3128")


def test_all_proxy_has_no_effect(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    assert proxy_for("https://registry.invalid/v2/") == ""


def test_a_proxy_that_is_not_there_is_named(library: Library, key: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9")
    with pytest.raises(
        PunaError, match=r"cannot reach registry\.invalid through the proxy 127\.0\.0\.1:9: "
    ) as error:
        fetch(library, "registry.invalid", key)
    assert "secret" not in str(error.value)


def test_a_proxy_of_an_unknown_kind_is_named(library: Library, key: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(PunaError, match=r"cannot use the proxy socks5://127\.0\.0\.1"):
        fetch(library, "registry.invalid", key)


def test_https_goes_through_a_tunnel(
    way: Line, library: Library, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    certificate = made_certificate(tmp_path, "registry.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with tls(way.host, certificate) as secure, tunnel(secure) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        assert fetch(library, "registry.invalid:5000", key, insecure=False) == WEIGHTS
        assert {line.rpartition(" ")[0] for line in asked} == {"CONNECT registry.invalid:5000"}


def test_a_certificate_nobody_vouches_for_is_refused(way: Line, library: Library, key: Path, tmp_path: Path):
    certificate = made_certificate(tmp_path, "127.0.0.1")
    with (
        tls(way.host, certificate) as secure,
        pytest.raises(PunaError, match=f"cannot speak HTTPS with {secure}: self"),
    ):
        fetch(library, secure, key, insecure=False)
    assert not way.asked
