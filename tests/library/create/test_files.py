"""Models made from files: what they have, and what is told meanwhile."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library import Library
from puna.library.parts import PartBuilder
from puna.types import MediaFile, Message
from tests.library.create.making import adapter, blob, kinds, made, small_gguf, statuses
from tests.library.split_files import split
from tests.models import shape_model


def test_a_model_from_a_gguf_file(library: Library, gguf: Path):
    digest = blob(library, gguf)
    model = made(library, files={"model.gguf": digest})
    assert kinds(model) == ["model"]
    assert model.layers[0].digest == digest
    assert model.config == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": model.config["model_type"],
        "file_type": "F32",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    assert model.details()["parent_model"] == "model.gguf"


def test_texts_become_layers_as_ollama_writes_them(library: Library, gguf: Path):
    model = made(
        library,
        files={"m": blob(library, gguf)},  # no ending: it is known by what it holds
        template="{{ .Prompt }}",
        system="Be brief.",
        licenses=["MIT", "Apache"],
        parameters={"temperature": 1.0, "top_p": 0.5, "num_ctx": 10.0, "stop": ["<|a|>", "b"], "seed": None},
        messages=[
            Message(role="user", content="hi & bye"),
            Message(role="assistant", images=[MediaFile(b"x")]),
        ],
        renderer="r",
        parser="p",
        requires="0.14.0",
    )
    assert kinds(model) == ["model", "template", "system", "license", "license", "params", "messages"]
    texts = [library.blobs.path(layer.digest).read_text() for layer in model.layers[1:]]
    assert texts == [
        "{{ .Prompt }}",
        "Be brief.",
        "MIT",
        "Apache",
        r'{"num_ctx":10,"stop":["\u003c|a|\u003e","b"],"temperature":1,"top_p":0.5}' + "\n",
        r'[{"role":"user","content":"hi \u0026 bye"},{"role":"assistant","content":"","images":["eA=="]}]'
        + "\n",
    ]
    assert [model.config[key] for key in ("renderer", "parser", "requires")] == ["r", "p", "0.14.0"]
    assert model.parameters["stop"] == ["<|a|>", "b"]
    assert model.messages[1].images == [MediaFile(b"x")]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1.0, "1"),
        (0.6, "0.6"),
        (0.00005, "0.00005"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (-0.0, "-0"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
    ],
)
def test_numbers_are_written_as_go_writes_them(library: Library, gguf: Path, number: float, written: str):
    """What Go's json.Marshal gives for each, so that Ollama and Puna have the same blob."""
    model = made(library, files={"m": blob(library, gguf)}, parameters={"min_p": number})
    assert library.blobs.path(model.layers[-1].digest).read_text() == f'{{"min_p":{written}}}\n'


def test_files_are_told_apart_by_what_they_say_they_are(library: Library, gguf: Path, tmp_path: Path):
    projectors = [
        small_gguf(tmp_path / "clip.gguf", "clip", clip__has_vision_encoder=True),
        small_gguf(tmp_path / "mm.gguf", "clip", general__type="mmproj"),
        small_gguf(tmp_path / "old.gguf", "mllama", mllama__vision__block_count=2),
    ]
    files = [*projectors, gguf, adapter(tmp_path / "lora.gguf")]
    model = made(library, files={path.name: blob(library, path) for path in files})
    assert kinds(model) == ["projector", "projector", "projector", "model", "adapter"]
    assert model.weights.read_bytes() == gguf.read_bytes()


def test_parts_of_a_split_file_become_one(library: Library, tmp_path: Path):
    whole = tmp_path / "whole.gguf"
    shape_model(whole)
    parts = split(whole, tmp_path, 3)
    model = made(library, files={f"some/{path.name}": blob(library, path) for path in reversed(parts)})
    assert kinds(model) == ["model"]
    assert model.metadata.tensors == read_metadata(whole).tensors
    assert model.metadata.get("split.count") is None
    with pytest.raises(BadRequest, match="has 2 shards, expected 3"):
        made(library, files={path.name: blob(library, path) for path in parts[:2]})


def test_adapters_follow_the_model(library: Library, gguf: Path, tmp_path: Path):
    one = blob(library, adapter(tmp_path / "one.gguf"))
    two = blob(library, small_gguf(tmp_path / "two.gguf", "llama", general__type="adapter", more=1))
    made(library, "base", files={"m.gguf": blob(library, gguf)}, system="s")
    model = made(library, base="base", adapters={"one.gguf": one, "two.gguf": two})
    assert kinds(model) == ["model", "system", "adapter", "adapter"]
    assert [layer.digest for layer in model.layers[2:]] == [one, two]


def test_info_overrides_what_the_weights_say(library: Library, gguf: Path):
    info = {
        "model_family": "gptoss",
        "base_name": "gpt",
        "quantization_level": "MXFP4",
        "parameter_size": "20B",
        "context_length": 131072.0,
        "embedding_length": 2880,
        "capabilities": ["completion", "tools"],
    }
    config = made(library, files={"m.gguf": blob(library, gguf)}, info=info).config
    wanted = {
        "model_family": "gptoss",
        "model_families": ["gptoss"],
        "base_name": "gpt",
        "file_type": "MXFP4",
        "model_type": "20B",
        "context_length": 131072,
        "embedding_length": 2880,
        "capabilities": ["completion", "tools"],
    }
    assert config | wanted == config


def test_some_architectures_have_a_renderer_unless_another_is_given(library: Library, tmp_path: Path):
    digest = blob(library, small_gguf(tmp_path / "m.gguf", "nemotron_h", nemotron_h__block_count=1))
    asked: dict[str, Any] = {"files": {"m.gguf": digest}, "names": {"nemotron_h": "nemotron-3-nano"}}
    config = made(library, **asked).config
    assert (config["renderer"], config["parser"]) == ("nemotron-3-nano", "nemotron-3-nano")
    config = made(library, **asked, renderer="mine").config
    assert (config["renderer"], config["parser"]) == ("mine", "nemotron-3-nano")
    assert "renderer" not in made(library, **asked, template="{{ .Prompt }}").config
    assert "renderer" not in made(library, files={"m.gguf": digest}).config


def test_the_steps_are_ollamas(library: Library, gguf: Path):
    digest = blob(library, gguf)
    first = statuses(library, files={"model.gguf": digest}, system="S")
    system = library.open("made").layers[1].digest
    assert first == [
        "parsing GGUF",
        f"using existing layer {digest}",
        f"creating new layer {system}",
        "writing manifest",
        "success",
    ]
    assert statuses(library, base="made", template="T")[:2] == [
        f"using existing layer {digest}",
        f"using existing layer {system}",
    ]


def test_files_lie_under_their_names_while_they_are_converted(library: Library, tmp_path: Path):
    with ExitStack() as made:
        builder = PartBuilder(library, lambda step: None, made)
        digests = {
            name: library.blobs.add([name.encode()])[0] for name in ("config.json", "a/b/model.safetensors")
        }
        with builder.checkpoint_folder(digests) as folder:
            assert {name: (folder / name).read_text() for name in digests} == {name: name for name in digests}
        assert not folder.exists()
        assert library.blobs.path(digests["config.json"]).read_text() == "config.json"
        with (
            pytest.raises(BadRequest, match="a/b: a file and a folder have the same name"),
            builder.checkpoint_folder({"a": digests["config.json"], "a/b": digests["config.json"]}),
        ):
            pass
