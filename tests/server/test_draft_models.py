"""A model with a draft model: made from a name or a file, shown, run; and every draft that is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from puna.library import Library
from tests.library.create.making import small_gguf
from tests.models import (
    embedding_model,
    hybrid_model,
    install,
    recurrent_model,
    scripted_model,
    shape_model,
)
from tests.running import Server, serving
from tests.server.conftest import uploaded

WORDS = [f"word{number}, " for number in range(80)]
SCRIPT = "".join(WORDS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the model `big`, `small` of its vocabulary, and others that cannot be its draft model."""
    folder: Path = tmp_path_factory.mktemp("drafts")
    made: dict[str, Callable[[Path], object]] = {
        "big": lambda path: scripted_model(path, WORDS, name="big"),
        "small": lambda path: scripted_model(path, WORDS, name="small"),
        "wrong": lambda path: scripted_model(path, WORDS, astray=1),
        "other": lambda path: scripted_model(path, ["other", *WORDS[1:]]),
        "short": lambda path: scripted_model(path, "a few"),
        "long": lambda path: shape_model(path, vocab=600),
        "embeds": embedding_model,
        "recurs": recurrent_model,
        "mixes": hybrid_model,
    }
    for name, make in made.items():
        make(folder / name)
        install(folder / "models", name, folder / name, template="{{ .Prompt }}")
    with serving(folder / "models") as server:
        yield server


def create(client: httpx.Client, name: str, **body: Any) -> dict[str, Any]:
    answer = client.post("/api/create", json={"model": name, "stream": False} | body)
    assert answer.status_code == 200, answer.text
    return client.post("/api/show", json={"model": name}).json()


def answered(client: httpx.Client, model: str, **options: Any) -> dict[str, Any]:
    body = {"model": model, "prompt": "Go!", "stream": False, "options": {"num_ctx": 512} | options}
    answer = client.post("/api/generate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def drafted(client: httpx.Client, model: str, **options: Any) -> dict[str, Any]:
    """The first answer of which some was guessed rightly: what pays is measured."""
    for seed in range(20):
        found = answered(client, model, seed=seed, **options)
        assert found["response"] == SCRIPT
        if found.get("draft_n_accepted"):
            return found
    raise AssertionError("nothing was ever drafted")


def test_a_draft_model_by_name(server: Server, client: httpx.Client) -> None:
    plain = answered(client, "big", draft_num_predict=0)
    assert plain["response"] == SCRIPT
    shown = create(client, "fast", **{"from": "big"}, draft="small")
    (line,) = [line for line in shown["modelfile"].splitlines() if line.startswith("DRAFT ")]
    small = Library(server.models).open("small").weights
    assert line == f"DRAFT {small}"
    manifest = json.loads(
        Path(server.models / "manifests/registry.ollama.ai/library/fast/latest").read_text()
    )
    (layer,) = [one for one in manifest["layers"] if one["mediaType"] == "application/vnd.ollama.image.draft"]
    assert layer["digest"].replace(":", "-") == small.name
    config = Library(server.models).open("fast").config
    assert config["draft"] == {"model_format": "gguf", "architecture": "llama"}
    found = drafted(client, "fast", temperature=0, draft_num_predict=4)
    assert found["eval_count"] == plain["eval_count"]
    counted = client.get("/metrics").text
    assert 'puna_accepted_draft_tokens_total{model="fast:latest"}' in counted


def test_a_draft_model_from_a_file_and_its_heirs(client: httpx.Client, tmp_path: Path) -> None:
    scripted_model(tmp_path / "d.gguf", WORDS, name="from a file", metadata={"general.file_type": 0})
    files = {"d.gguf": uploaded(client, tmp_path / "d.gguf")}
    shown = create(client, "filed", **{"from": "big"}, draft_files=files, draft_quantize="q8_0")
    line = next(line for line in shown["modelfile"].splitlines() if line.startswith("DRAFT "))
    assert files["d.gguf"][7:] not in line  # quantized
    heir = create(client, "heir", **{"from": "filed"}, system="Be brief.")
    assert line in heir["modelfile"].splitlines()
    other = create(client, "another", **{"from": "filed"}, draft="small")
    assert other["modelfile"].count("\nDRAFT ") == 1
    assert line not in other["modelfile"].splitlines()
    drafted(client, "heir", temperature=0.7, draft_num_predict=4)


def test_a_draft_model_that_is_wrong_changes_nothing(client: httpx.Client) -> None:
    create(client, "misled", **{"from": "big"}, draft="wrong")
    for options in ({"temperature": 0}, {"temperature": 0.9, "seed": 3, "draft_num_predict": 4}):
        assert answered(client, "misled", **options)["response"] == SCRIPT


@pytest.mark.parametrize(
    ("draft", "status", "why"),
    [
        ("nobody", 404, "not found"),
        ("big", 400, "it is the model itself"),
        ("other", 400, "its token 260 is 'other', not 'word0, '"),
        ("long", 400, "it has 600 tokens, not 340"),
        ("embeds", 400, "it does not generate text"),
        ("recurs", 400, "is recurrent"),
        ("mixes", 400, "is recurrent"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_draft_that_cannot_guess_is_refused_by_name(
    client: httpx.Client, draft: str, status: int, why: str, stream: bool
) -> None:
    body = {"model": "x", "from": "big", "draft": draft, "stream": stream}
    answer = client.post("/api/create", json=body)
    assert answer.status_code == status, answer.text
    assert f"draft model '{draft}'" in answer.json()["error"]
    assert why in answer.json()["error"]
    assert client.post("/api/show", json={"model": "x"}).status_code == 404


def test_a_model_that_cannot_be_cut_back_takes_no_draft(client: httpx.Client) -> None:
    body = {"model": "x", "from": "recurs", "draft": "small", "stream": False}
    answer = client.post("/api/create", json=body)
    assert answer.status_code == 400
    assert "mamba, is recurrent" in answer.json()["error"]


def test_files_that_are_no_draft_model(client: httpx.Client, tmp_path: Path) -> None:
    scripted_model(tmp_path / "cut.gguf", WORDS)
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "cut.gguf").read_bytes()[:4000])
    small_gguf(tmp_path / "head.gguf", "dflash", dflash__block_count=1)
    for name, why in (("cut.gguf", "cut.gguf"), ("head.gguf", "draft model of architecture dflash")):
        files = {name: uploaded(client, tmp_path / name)}
        body = {"model": "x", "from": "big", "draft_files": files, "stream": False}
        answer = client.post("/api/create", json=body)
        assert answer.status_code == 400, answer.text
        assert why in answer.json()["error"]


def test_a_stored_draft_that_was_damaged_is_refused_when_it_is_loaded(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    scripted_model(tmp_path / "d.gguf", WORDS, name="to be damaged")
    digest = uploaded(client, tmp_path / "d.gguf")
    create(client, "hurt", **{"from": "big"}, draft_files={"d.gguf": digest})
    path = server.models / "blobs" / digest.replace(":", "-")
    path.write_bytes(path.read_bytes()[:4000])
    answer = client.post("/api/generate", json={"model": "hurt", "prompt": "Go!", "stream": False})
    assert answer.status_code == 500
    assert f"draft model {path}" in answer.json()["error"]
    assert answered(client, "big")["response"] == SCRIPT


def test_a_stored_draft_of_a_kind_that_is_not_used_is_no_hindrance(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    library = Library(server.models)
    small_gguf(tmp_path / "head.gguf", "dflash", dflash__block_count=1)
    big = library.open("big")
    with (tmp_path / "head.gguf").open("rb") as file:
        head = type(big.layers[0])("application/vnd.ollama.image.draft", *library.blobs.add(file))
    library.write_manifest(big.name.parse("pulled"), big.config, [*big.layers, head])
    assert answered(client, "pulled")["response"] == SCRIPT
    shown = client.post("/api/show", json={"model": "pulled"}).json()
    assert f"DRAFT {library.blobs.path(head.digest)}" in shown["modelfile"]
