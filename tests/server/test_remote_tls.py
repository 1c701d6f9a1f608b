"""Whose certificates are believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from puna.server import remote as remote_module
from puna.server.remote import Remote
from tests.server.fetching import CANNOT, FIELD, refused
from tests.server.picture_hosts import MEDIA_MARKER, answering, certificate, host


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Makes a certificate one that is believed."""

    def trust(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        remote_module._certificates.cache_clear()

    yield trust
    remote_module._certificates.cache_clear()


async def test_over_tls_the_name_is_what_is_asked_for_and_checked(
    near: Remote, names: dict[str, list[str]], trusting: Callable[[Path], None], tmp_path: Path
):
    tls, believed = certificate(tmp_path, "pictures.example")
    trusting(believed)
    seen: list[str | None] = []
    tls.sni_callback = lambda line, name, context: seen.append(name)
    names["pictures.example"] = names["other.example"] = ["127.0.0.1"]
    with host(answering(), tls=tls) as there:
        assert await near.fetch(f"https://pictures.example:{there.port}/", FIELD) == MEDIA_MARKER
        assert CANNOT in await refused(near, f"https://other.example:{there.port}/")
        assert CANNOT in await refused(near, there.url)
    assert seen[:2] == ["pictures.example", "other.example"]
    assert len(there.asked) == 1


async def test_a_certificate_nobody_vouches_for_is_refused(
    near: Remote, names: dict[str, list[str]], tmp_path: Path
):
    tls, _ = certificate(tmp_path, "pictures.example")
    names["pictures.example"] = ["127.0.0.1"]
    with host(answering(), tls=tls) as there:
        assert CANNOT in await refused(near, f"https://pictures.example:{there.port}/")
    assert there.asked == []
