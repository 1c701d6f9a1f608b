"""HTTPS by a real server, and certificates that change under it."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.library.registry.secure import made_certificate
from tests.running import Server, run_puna, serving


def certificate(folder: Path) -> Path:
    folder.mkdir()
    return made_certificate(folder, "127.0.0.1")


def split(pem: Path) -> tuple[str, str]:
    """The certificate and its key."""
    text = pem.read_text()
    at = text.index("-----BEGIN PRIVATE KEY-----")
    return text[:at], text[at:]


def shown(server: Server) -> str:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", server.port))


def same(shown: str, pem: Path) -> bool:
    return ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(split(pem)[0])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate's file and its key's."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for path, text in zip((chain, key), split(certificate(tmp_path / "first")), strict=True):
        path.write_text(text)
    return chain, key


@pytest.fixture
def secure(tmp_path: Path, files: tuple[Path, Path]) -> Iterator[Server]:
    chain, key = files
    with serving(tmp_path / "models", PUNA_TLS_CERT=str(chain), PUNA_TLS_KEY=str(key)) as server:
        yield server


def client(server: Server, chain: Path) -> httpx.Client:
    trust = ssl.create_default_context(cafile=str(chain))
    return httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=trust, timeout=30)


def test_the_server_speaks_https_and_nothing_else(secure: Server, files: tuple[Path, Path]):
    with client(secure, files[0]) as http:
        assert http.get("/api/version").status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{secure.port}/api/version", timeout=10)


def test_the_command_line_speaks_it_too(secure: Server, files: tuple[Path, Path]):
    environment = secure.environment() | {
        "OLLAMA_HOST": f"https://127.0.0.1:{secure.port}",
        "SSL_CERT_FILE": str(files[0]),
    }
    command = [sys.executable, "-m", "puna", "list"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("NAME")


def test_a_new_certificate_is_shown_to_the_next_connection(
    secure: Server, files: tuple[Path, Path], tmp_path: Path
):
    old, new = tmp_path / "first" / "certificate.pem", certificate(tmp_path / "second")
    chain, key = files
    with client(secure, chain) as open_before:
        assert open_before.get("/api/version").status_code == 200
        assert same(shown(secure), old)

        chain.write_text(split(new)[0])
        assert same(shown(secure), old), "a certificate without its key is of no use"
        key.write_text(split(new)[1])
        assert same(shown(secure), new)

        key.unlink()
        chain.write_text("nonsense")
        assert same(shown(secure), new)
        assert open_before.get("/api/version").status_code == 200
    log = "".join(secure.log)
    assert "read again" in log
    assert "stays in use" in log


def test_one_file_may_hold_both(tmp_path: Path):
    pem = certificate(tmp_path / "both")
    with serving(tmp_path / "models", PUNA_TLS_CERT=str(pem)) as server, client(server, pem) as http:
        assert http.get("/").text == "Ollama is running"


def test_old_protocols_are_refused(secure: Server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", secure.port)) as line, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(line)


@pytest.mark.parametrize("fault", ["missing", "no key", "another's key", "encrypted"])
def test_what_cannot_be_used_keeps_the_server_from_starting(tmp_path: Path, fault: str):
    pem, other = certificate(tmp_path / "one"), certificate(tmp_path / "other")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text(split(pem)[0])
    key.write_text(split(pem)[1])
    if fault == "missing":
        chain.unlink()
    elif fault == "no key":
        key = chain
    elif fault == "another's key":
        key.write_text(split(other)[1])
    else:
        shutil.copy(pem, key)
        command = ["openssl", "rsa" if "RSA" in key.read_text() else "ec", "-aes256", "-passout", "pass:x"]
        subprocess.run([*command, "-in", pem, "-out", key], check=True, capture_output=True)
    environment = os.environ | {
        "OLLAMA_HOST": "127.0.0.1:0",
        "OLLAMA_MODELS": str(tmp_path / "models"),
        "PUNA_KEYS": str(tmp_path / "keys.json"),
        "PUNA_TLS_CERT": str(chain),
        "PUNA_TLS_KEY": str(key),
    }
    ended = run_puna("serve", env=environment)
    assert ended.returncode == 1
    assert str(chain) in ended.stderr
    assert "Traceback" not in ended.stderr
