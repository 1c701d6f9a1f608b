"""What a server has evaluated outlives its engines, however they end, and the server itself."""

from __future__ import annotations

import resource
from pathlib import Path

import httpx
import psutil
import pytest

from puna.access import add_key, new_key
from tests.faults.injecting import engines, until
from tests.models import install, shape_model
from tests.running import Server, keys_file, serving

PROMPT = "The sea is never still, and neither is the wind that moves it. " * 8


@pytest.fixture
def store(tmp_path: Path) -> Path:
    gguf, store = tmp_path / "model.gguf", tmp_path / "models"
    shape_model(gguf)
    install(store, "sea", gguf)
    shape_model(gguf, layers=3)
    install(store, "wind", gguf)
    return store


def cached(server: Server, prompt: str = PROMPT, model: str = "sea", key: str = "") -> tuple[int, int]:
    """How many tokens of a prompt were found evaluated, and how many it has."""
    answer = httpx.post(
        f"{server.url}/v1/completions",
        json={"model": model, "prompt": prompt, "max_tokens": 8, "temperature": 0},
        headers={"authorization": f"Bearer {key}"} if key else {},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]


def unload(server: Server, model: str = "sea") -> None:
    httpx.post(f"{server.url}/api/generate", json={"model": model, "keep_alive": 0}, timeout=60)
    until(lambda: not [one for one in engines(server) if str(server.models) in _files(one)])


def _files(engine: psutil.Process) -> str:
    """The files that an engine has mapped: its model among them."""
    try:
        return " ".join(file.path for file in engine.memory_maps())
    except psutil.Error:
        return ""


def kept(server: Server) -> list[Path]:
    return list((server.models.parent / "puna-cache").rglob("*.kv"))


def all_of_it(found: tuple[int, int]) -> bool:
    return found[0] == found[1] > 0


def test_after_an_unload(store: Path) -> None:
    with serving(store) as server:
        assert cached(server)[0] == 0
        unload(server)
        assert all_of_it(cached(server))
        assert cached(server, model="wind")[0] == 0


def test_after_a_crash(store: Path) -> None:
    with serving(store) as server:
        cached(server)
        until(lambda: kept(server))
        next(one for one in engines(server) if str(store) in _files(one)).kill()
        assert all_of_it(cached(server))


@pytest.mark.parametrize("crash", [False, True])
def test_after_a_restart(store: Path, crash: bool) -> None:
    with serving(store) as server:
        cached(server)
        running = engines(server)
        if crash:
            server.process.kill()
            psutil.wait_procs(running, timeout=60)
    with serving(store) as server:
        assert all_of_it(cached(server))
        found, whole = cached(server, PROMPT + "And yet?")
        assert whole - found <= 64  # the question, and what the template puts behind it


def test_nothing_is_kept_where_that_is_not_wanted(store: Path, tmp_path: Path) -> None:
    with serving(store, PUNA_CACHE="0") as server:
        cached(server)
        unload(server)
        assert cached(server)[0] == 0
        assert not (tmp_path / "puna-cache").exists()


def test_another_folder(store: Path, tmp_path: Path) -> None:
    with serving(store, PUNA_CACHE_DIR=str(tmp_path / "else" / "where")) as server:
        cached(server)
        unload(server)
        assert all_of_it(cached(server))
    assert list((tmp_path / "else" / "where").rglob("*.kv"))
    assert not (tmp_path / "puna-cache").exists()


def test_a_folder_that_cannot_be(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving(store, PUNA_CACHE_DIR=str(tmp_path / "file" / "folder")) as server:
        for _ in range(2):
            assert cached(server)[0] == 0
            unload(server)
        told = [line for line in server.log if "cache" in line]
    assert len(told) == 2, told  # one an engine


def test_a_full_disk(store: Path) -> None:
    with serving(store) as server:
        cached(server, PROMPT[:60])
        unload(server)
        before = kept(server)
        psutil.Process(server.process.pid).rlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
        found, whole = cached(server)
        assert found < whole
        unload(server)
        assert kept(server) == before
        assert not list((store.parent / "puna-cache").rglob("*.partial"))
        assert cached(server) == (found, whole)
        assert len([line for line in server.log if "stops growing" in line]) == 1


def test_each_key_has_its_own(store: Path) -> None:
    secrets = []
    for name in ("ann", "bob"):
        key, secret = new_key(name)
        add_key(keys_file(store), key)
        secrets.append(secret)
    ann, bob = secrets
    for _ in range(2):
        with serving(store) as server:
            cached(server, key=ann)
    with serving(store) as server:
        assert cached(server, key=bob)[0] == 0
        assert all_of_it(cached(server, key=ann))
