"""A folder of safetensors becomes a model that answers: converted, quantised, made again the same."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from puna.library import Library
from tests.library.convert.checkpoints import BASE, decoder, write_checkpoint
from tests.library.convert.tokenizers_made import byte_level
from tests.registries import registry
from tests.running import Server, run_puna


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config: dict[str, Any] = {**BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    made = write_checkpoint(tmp_path / "checkpoint", config, decoder(config), "BF16", shards=2)
    byte_level(made)
    return made


def puna(server: Server, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run_puna(*words, env=server.environment(), cwd=cwd, timeout=300)


def said(server: Server, model: str) -> str:
    body = {"model": model, "prompt": "once upon", "raw": True, "stream": False}
    options = {"temperature": 0, "num_predict": 12, "num_ctx": 256}
    answer = httpx.post(f"{server.url}/api/generate", json=body | {"options": options}, timeout=60)
    return answer.raise_for_status().json()["response"]


def digest(server: Server, model: str) -> str:
    listed = httpx.get(f"{server.url}/api/tags").json()["models"]
    return next(entry["digest"] for entry in listed if entry["name"] == f"{model}:latest")


def test_a_checkpoint_is_created_quantised_removed_and_made_again(server: Server, folder: Path):
    (folder / "Modelfile").write_text("FROM .\nPARAMETER temperature 0\nSYSTEM Be brief.\n")
    made = puna(server, "create", "mine", "-q", "q8_0", cwd=folder)
    assert made.returncode == 0, made.stderr
    assert "success" in made.stdout + made.stderr
    shown = httpx.post(f"{server.url}/api/show", json={"model": "mine"}).json()
    assert (shown["details"]["family"], shown["details"]["quantization_level"]) == ("llama", "Q8_0")
    assert shown["system"] == "Be brief."
    text, known = said(server, "mine"), digest(server, "mine")
    assert text
    assert puna(server, "rm", "mine").returncode == 0
    assert puna(server, "create", "mine", "-q", "q8_0", cwd=folder).returncode == 0
    assert (said(server, "mine"), digest(server, "mine")) == (text, known)
    refused = puna(server, "create", "again", "-q", "q4_K_M", "-f", str(_from_model(folder)))
    assert refused.returncode == 1
    assert "quantization is only supported for F16, BF16 and F32 models" in refused.stderr


def test_a_model_goes_to_a_registry_and_comes_back_the_same(server: Server, folder: Path, tmp_path: Path):
    (folder / "Modelfile").write_text('FROM .\nTEMPLATE "{{ .Prompt }}"\nLICENSE Mine.\n')
    with registry(tmp_path / "registry") as hub:
        name = f"{hub}/me/mine"
        assert puna(server, "create", name, "-q", "q4_0", cwd=folder).returncode == 0
        text, known = said(server, name), digest(server, name)
        assert text
        library = Library(server.models)
        paths = [library.blobs.path(layer.digest) for layer in library.open(name).layers]
        blobs = {path: path.read_bytes() for path in paths}
        pushed = puna(server, "push", "--insecure", name)
        assert pushed.returncode == 0, pushed.stderr
        assert pushed.stderr.splitlines()[0] == "retrieving manifest"
        assert pushed.stderr.splitlines()[-2:] == ["pushing manifest", "success"]
        assert pushed.stdout.endswith(f"You can find your model at:\n\n\t{name}:latest\n")
        assert puna(server, "rm", name).returncode == 0
        assert not any(path.exists() for path in blobs)
        pulled = puna(server, "pull", "--insecure", name)
        assert pulled.returncode == 0, pulled.stderr
        assert pulled.stderr.splitlines()[0] == "pulling manifest"
        assert pulled.stderr.splitlines()[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    assert {path: path.read_bytes() for path in blobs} == blobs
    assert (said(server, name), digest(server, name)) == (text, known)


def _from_model(folder: Path) -> Path:
    path = folder / "second"
    path.write_text("FROM mine\n")
    return path


def test_a_shard_that_lies_is_named_and_nothing_is_made(server: Server, folder: Path):
    broken = sorted(folder.glob("*.safetensors"))[0]
    broken.write_bytes(b"\xff" * 8 + broken.read_bytes()[8:])
    made = puna(server, "create", "mine", cwd=folder)
    assert made.returncode == 1
    assert broken.name in made.stderr
    assert httpx.get(f"{server.url}/api/tags").json()["models"] == []
