"""The same model on both devices, served as one."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.faults.injecting import Asked, engines, until
from tests.models import install
from tests.running import Server, serving

OPTIONS = {"replicas": 2, "num_ctx": 512, "num_predict": 4, "temperature": 0}
PROMPTS = ["one two three " * 20, "four five six " * 20]


def loaded_on(server: Server) -> list[str]:
    """Where the model was placed, each time."""
    placed = (line.partition(" on ")[2] for line in server.log if "placing shape" in line)
    return [words.split()[0] for words in placed]


def test_each_device_has_it_and_one_goes_on_without_the_other(
    shaped: Path, gpus: tuple[str, ...], tmp_path: Path
):
    install(tmp_path / "models", "shape", shaped)
    body = {"model": "shape", "raw": True, "stream": False, "options": OPTIONS}

    with serving(tmp_path / "models") as server:

        def listed() -> list[dict[str, int]]:
            return httpx.get(f"{server.url}/api/ps", timeout=60).json()["models"]

        def answers() -> list[str]:
            asked = [Asked(server, "/api/generate", body | {"prompt": prompt}) for prompt in PROMPTS]
            return [one.answer.json()["response"] for one in asked]

        alone = answers()
        until(lambda: [model.get("replicas") for model in listed()] == [2], 120)
        assert sorted(loaded_on(server)) == sorted(gpus[:2])
        (model,) = listed()
        assert model["size_vram"] == model["size"] > 2 * 20_000_000
        assert answers() == alone
        engines(server)[0].kill()
        assert answers() == alone
        until(lambda: [model.get("replicas") for model in listed()] == [2], 120)
        assert len(loaded_on(server)) == 3
        unload = {"model": "shape", "keep_alive": 0}
        assert httpx.post(f"{server.url}/api/generate", json=unload, timeout=60).status_code == 200
        assert listed() == []
        until(lambda: not engines(server))
