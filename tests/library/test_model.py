"""What the library says of a model: its details, layers, capabilities and `show`."""

from __future__ import annotations

import json

import msgspec
import pytest

from puna.errors import LoadFailed
from puna.gguf import Metadata
from puna.human import human_number
from puna.library import Layer, Library, Model, Name, ShowResponse, describe, show
from tests.library.stores import IMAGE, manifest_path, put, put_real
from tests.models import CHATML, embedding_model

GO = "{{ if .System }}{{ .System }}{{ end }}{{ .Prompt }}"


@pytest.fixture
def embedder(library: Library) -> Model:
    with library.blobs.temporary() as path:
        embedding_model(path)
        weights = Layer(IMAGE + "model", *library.blobs.adopt(path))
    library.write_manifest(Name.parse("embedder"), {}, [weights])
    return library.open("embedder")


def test_details_come_from_the_config(library: Library) -> None:
    model = put_real(library, "model")
    assert model.details() == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": human_number(model.metadata.parameter_count),
        "quantization_level": "unknown",
    }


def test_details_that_the_config_lacks_come_from_the_file(embedder: Model) -> None:
    details = embedder.details()
    assert embedder.config == {}
    assert (details["format"], details["family"], details["families"]) == ("gguf", "bert", ["bert"])
    assert details["parameter_size"] == human_number(embedder.metadata.parameter_count)


def test_a_damaged_file_is_listed_but_not_opened_up(library: Library) -> None:
    library.write_manifest(
        Name.parse("model"), {}, [Layer(IMAGE + "model", *library.blobs.add([b"GGUF and nothing else"]))]
    )
    (model,) = library.list()
    assert model.details()["family"] == ""
    for ask in (
        lambda: model.metadata,
        lambda: model.chat_template,
        model.capabilities,
        lambda: show(model, []),
    ):
        with pytest.raises(LoadFailed, match=r"unable to load model .*GGUF version"):
            ask()


def test_a_model_of_another_server_says_where_it_runs(library: Library) -> None:
    library.write_manifest(Name.parse("remote"), {"remote_host": "https://example.com"}, [])
    (model,) = library.list()
    with pytest.raises(LoadFailed, match=r"'remote:latest' runs on https://example\.com, not on"):
        _ = model.weights
    assert model.details()["format"] == ""


def test_a_model_for_mlx_says_what_to_pull_instead(library: Library) -> None:
    tensor = Layer(IMAGE + "tensor", *library.blobs.add([b"..."]))
    library.write_manifest(Name.parse("mlx"), {"model_format": "safetensors"}, [tensor])
    (model,) = library.list()
    with pytest.raises(LoadFailed, match="pull another tag"):
        _ = model.weights


@pytest.mark.parametrize(
    ("metadata", "template", "expected"),
    [
        ({}, None, ["completion"]),
        ({"llama.pooling_type": 1}, None, ["embedding"]),
        ({"llama.pooling_type": 0}, "{{ .Suffix }}", ["embedding"]),
        ({"bert.pooling_type": 1}, None, ["completion"]),
        ({"tokenizer.ggml.fim_pre_token_id": 5}, None, ["completion", "insert"]),
        ({"tokenizer.ggml.prefix_token_id": 5}, None, ["completion", "insert"]),
        ({}, "<PRE> {{ .Prompt }} <SUF>{{- .Suffix }} <MID>", ["completion", "insert"]),
        ({}, "{{ .Tools }}{{ .ToolCalls }}<think>{{ .Thinking }}</think>", ["completion"]),
    ],
)
def test_only_what_puna_can_do_is_promised(
    library: Library, metadata: dict[str, int], template: str | None, expected: list[str]
) -> None:
    layers = {"template": template} if template else {}
    assert put_real(library, "model", metadata=metadata, **layers).capabilities() == expected


@pytest.mark.parametrize(("encoder", "hears"), [("gemma3na", False), ("gemma4a", True)])
def test_an_encoder_that_libmtmd_passes_over_is_not_promised(encoder: str, hears: bool) -> None:
    values = {
        "clip.has_vision_encoder": True,
        "clip.has_audio_encoder": True,
        "clip.audio.projector_type": encoder,
    }
    assert Metadata(values, [], 0).encoders == (("vision", "audio") if hears else ("vision",))


def test_layers_are_read(library: Library) -> None:
    model = put_real(
        library,
        "model",
        template=GO,
        system="Be brief.",
        params={"temperature": 0.5, "stop": ["a", "b"]},
        messages=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
        license="MIT",
        projector="p",
        adapter="a",
    )
    assert model.template == GO
    assert model.chat_template == CHATML
    assert model.system == "Be brief."
    assert model.parameters == {"temperature": 0.5, "stop": ["a", "b"]}
    assert [message.content for message in model.messages] == ["hi", "ho"]
    assert model.licenses == ["MIT"]
    assert [path.read_bytes() for path in (*model.projectors, *model.adapters)] == [b"p", b"a"]


@pytest.mark.parametrize(("kind", "name"), [("params", "parameters"), ("messages", "messages")])
def test_a_damaged_layer_is_named(library: Library, kind: str, name: str) -> None:
    model = put(library, "model", b"weights", **{kind: "{"})
    with pytest.raises(LoadFailed, match=f"model 'model:latest' is damaged: its {kind}"):
        getattr(model, name)


def test_the_header_is_read_once_for_all_models_that_share_it(library: Library) -> None:
    first = put_real(library, "model").metadata
    library.copy("model", "copy")
    assert Library(library.root).open("copy").metadata is first


def test_show_says_what_ollama_says(library: Library) -> None:
    model = put_real(
        library,
        "someone/model:1b",
        template=GO,
        system="Be brief.",
        params={"num_ctx": 4096, "temperature": 0.7, "stop": ["<|eot_id|>", 'say "x"']},
        messages=[{"role": "user", "content": "hi"}],
        license="MIT",
        metadata={"general.file_type": 1, "llama.few": True},
    )
    body = show(model, ["completion"])
    assert msgspec.json.decode(msgspec.json.encode(body), type=ShowResponse) == body
    assert body.license == "MIT"
    assert body.template == GO
    assert body.system == "Be brief."
    assert body.messages == [{"role": "user", "content": "hi"}]
    assert body.details == model.details()
    assert body.details["quantization_level"] == "F16"
    assert body.modified_at == model.modified_at.isoformat()
    assert body.parameters.split("\n") == [
        "num_ctx                        4096",
        "temperature                    0.7",
        'stop                           "<|eot_id|>"',
        'stop                           "say \\"x\\""',
    ]
    assert body.modelfile.split("\n") == [
        '# Modelfile generated by "puna show"',
        "# To build a new Modelfile based on this, replace FROM with:",
        "# FROM someone/model:1b",
        "",
        f"FROM {model.weights}",
        f'TEMPLATE "{GO}"',
        'SYSTEM "Be brief."',
        "PARAMETER num_ctx 4096",
        "PARAMETER temperature 0.7",
        'PARAMETER stop "<|eot_id|>"',
        'PARAMETER stop """say "x""""',
        'LICENSE "MIT"',
        'MESSAGE user "hi"',
        "",
    ]


def test_show_leaves_out_what_there_is_not(library: Library) -> None:
    body = show(put_real(library, "model"), [])
    told = {"modelfile", "template", "details", "model_info", "modified_at", "tensors", "capabilities"}
    assert set(msgspec.to_builtins(body)) == told
    assert body.template == CHATML
    assert "TEMPLATE" not in body.modelfile


def test_model_info_is_brief_unless_verbose(library: Library) -> None:
    model = put_real(library, "model")
    brief, verbose = show(model, []), show(model, [], verbose=True)
    info = brief.model_info
    assert info["general.architecture"] == "llama"
    assert info["general.parameter_count"] == model.metadata.parameter_count
    assert info["llama.context_length"] == 4096
    assert info["tokenizer.ggml.tokens"] == verbose.model_info["tokenizer.ggml.tokens"]  # 1,024 are shown
    assert "general.name" not in info
    assert "tokenizer.chat_template" not in info
    assert brief.tensors == verbose.tensors
    assert verbose.model_info.keys() == info.keys()
    assert verbose.model_info["tokenizer.ggml.tokens"][:2] == ["<unk>", "<s>"]
    assert verbose.tensors[0].keys() == {"name", "type", "shape"}
    assert {found["name"]: found["type"] for found in verbose.tensors}["output.weight"] == "F32"
    assert msgspec.json.decode(msgspec.json.encode(verbose), type=ShowResponse) == verbose


def test_show_tells_of_a_projector(library: Library, embedder: Model) -> None:
    model = put_real(library, "model", projector="")
    path = manifest_path(library, "model")
    manifest = json.loads(path.read_bytes())
    manifest["layers"][-1]["digest"] = embedder.layers[0].digest
    path.write_text(json.dumps(manifest))
    model = library.open("model")
    assert show(model, []).projector_info["general.architecture"] == "bert"
    assert f"FROM {embedder.weights}" in model_lines(model)


def model_lines(model: Model) -> list[str]:
    return show(model, []).modelfile.splitlines()


def test_a_config_is_made_from_a_header() -> None:
    values = {"general.architecture": "qwen3", "general.file_type": 15}
    about = describe(Metadata(values=values, tensors=[], parameter_count=600_000_000))
    assert about == {
        "model_format": "gguf",
        "model_family": "qwen3",
        "model_families": ["qwen3"],
        "model_type": "600M",
        "file_type": "Q4_K_M",
        "architecture": "amd64",
        "os": "linux",
    }
