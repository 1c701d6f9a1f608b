"""A server with two devices: what it plans, what it shows, what it does when a device is too small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models import install
from tests.running import Server, serving


@pytest.fixture(scope="module")
def store(shaped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("store")
    install(models, "shape", shaped)
    return models


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Server]:
    with serving(store) as running:
        yield running


def generate(server: Server, **options: Any) -> httpx.Response:
    body = {"model": "shape", "prompt": "one two", "raw": True, "stream": False}
    options = {"num_predict": 3, "temperature": 0, "num_ctx": 512} | options
    return httpx.post(f"{server.url}/api/generate", json=body | {"options": options}, timeout=300)


def loaded(server: Server) -> dict[str, Any]:
    (model,) = httpx.get(f"{server.url}/api/ps").json()["models"]
    return model


def unload(server: Server) -> None:
    httpx.post(f"{server.url}/api/generate", json={"model": "shape", "keep_alive": 0}, timeout=60)


def test_devices_are_listed(server: Server, gpus: tuple[str, ...]):
    found = httpx.get(f"{server.url}/api/devices", timeout=60).json()
    assert tuple(device["name"] for device in found["devices"]) == gpus
    assert all(0 < device["free"] <= device["total"] for device in found["devices"])
    assert "vulkan" in found["backends"]


def test_all_of_it_goes_to_one_device(server: Server):
    assert generate(server).status_code == 200
    model = loaded(server)
    assert model["size"] == model["size_vram"] > 20_000_000
    unload(server)


def test_a_second_plan_is_within_two_percent_of_the_truth(server: Server):
    generate(server)
    unload(server)
    generate(server)
    planned = [line for line in server.log if "placing shape" in line][-1]
    size = int(planned.rpartition("(")[2].partition(" ")[0]) << 20
    assert abs(size - loaded(server)["size_vram"]) <= 0.02 * size + (1 << 20)
    unload(server)


def test_some_layers_on_the_device(server: Server):
    assert generate(server, num_gpu=2).status_code == 200
    model = loaded(server)
    assert 0 < model["size_vram"] < model["size"]
    unload(server)


def test_a_division_over_both(server: Server):
    assert generate(server, tensor_split=[1, 1]).status_code == 200
    planned = [line for line in server.log if "placing shape" in line][-1]
    assert "Vulkan0" in planned
    assert "Vulkan1" in planned
    unload(server)


def test_none_of_it_on_a_device(server: Server):
    assert generate(server, num_gpu=0).status_code == 200
    assert loaded(server)["size_vram"] == 0
    unload(server)


def test_what_cannot_be_followed_is_refused(server: Server):
    answer = generate(server, main_gpu=5)
    assert answer.status_code == 400
    assert "this machine has 2 GPUs" in answer.json()["error"]


@pytest.mark.parametrize("setting", [{"OLLAMA_VULKAN": "0"}, {"OLLAMA_LLM_LIBRARY": "cpu"}])
def test_settings_leave_devices_alone(store: Path, setting: dict[str, str]):
    with serving(store, **setting) as alone:
        assert httpx.get(f"{alone.url}/api/devices", timeout=60).json()["devices"] == []
        assert generate(alone).status_code == 200
        assert loaded(alone)["size_vram"] == 0


def test_a_driver_that_shows_nothing_leaves_the_cpu(store: Path):
    with serving(store, GGML_VK_VISIBLE_DEVICES="7") as alone:
        found = httpx.get(f"{alone.url}/api/devices", timeout=60).json()
        assert found["devices"] == []
        assert found["problem"]
        assert generate(alone).status_code == 200
