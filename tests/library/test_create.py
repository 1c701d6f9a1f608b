"""Models made from other models and from files: what they have, what is told meanwhile, what errors leave."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.engine import quantize as engine_quantize
from puna.library import Library, Model, Recipe, create, show
from puna.library.gguf import read_metadata
from puna.library.parts import Kitchen
from puna.modelfile import parse
from puna.types import BadRequest, InvalidName, Message, NotFound, Progress, PunaError
from tests.foreign_models import rewritten
from tests.library.split_files import split
from tests.library.stores import put_real
from tests.models import scripted_model, shape_model
from tests.vision_models import vision_model

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "store")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    scripted_model(path, "hello", metadata={"general.file_type": 0})
    return path


def blob(library: Library, path: Path) -> str:
    return library.import_blob(path)[0]


def made(library: Library, name: str = "made", **recipe: Any) -> Model:
    create(library, name, Recipe(**recipe), lambda step: None, engine_quantize)
    return library.open(name)


def statuses(library: Library, **recipe: Any) -> list[str]:
    steps: list[Progress] = []
    create(library, "made", Recipe(**recipe), steps.append, engine_quantize)
    return [step.status for step in steps]


def small_gguf(path: Path, architecture: str, **metadata: str | int | bool) -> Path:
    writer = GGUFWriter(path, architecture)
    for key, value in metadata.items():
        key = key.replace("__", ".")
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    writer.add_tensor("t", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def adapter(path: Path) -> Path:
    return small_gguf(path, "llama", general__type="adapter", adapter__type="lora")


def kinds(model: Model) -> list[str]:
    return [layer.media_type.rpartition(".")[2] for layer in model.layers]


# From files.


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
        messages=[Message(role="user", content="hi & bye"), Message(role="assistant", images=[b"x"])],
        renderer="r",
        parser="p",
        requires="0.14.0",
    )
    assert kinds(model) == ["model", "template", "system", "license", "license", "params", "messages"]
    texts = [library.blob_path(layer.digest).read_text() for layer in model.layers[1:]]
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
    assert model.messages[1].images == [b"x"]


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
    config = made(library, files={"m.gguf": digest}).config
    assert (config["renderer"], config["parser"]) == ("nemotron-3-nano", "nemotron-3-nano")
    config = made(library, files={"m.gguf": digest}, renderer="mine").config
    assert (config["renderer"], config["parser"]) == ("mine", "nemotron-3-nano")
    assert "renderer" not in made(library, files={"m.gguf": digest}, template="{{ .Prompt }}").config


# From another model.


@pytest.fixture
def base(library: Library, gguf: Path) -> Model:
    return made(
        library,
        "base",
        files={"model.gguf": blob(library, gguf)},
        template="T",
        system="S",
        licenses=["L"],
        parameters={"seed": 1, "top_k": 2},
        messages=[Message(role="user", content="M")],
        renderer="r",
        requires="0.1",
        info={"capabilities": ["completion"], "parameter_size": "9B"},
    )


def test_a_model_from_another_has_all_it_has(library: Library, base: Model):
    model = made(library, base="base")
    assert [layer.digest for layer in model.layers] == [layer.digest for layer in base.layers]
    assert {layer.source for layer in model.layers} == {"base:latest"}
    assert model.details()["parent_model"] == "base:latest"
    assert [model.config[key] for key in ("renderer", "requires", "capabilities")] == [
        "r",
        "0.1",
        ["completion"],
    ]
    assert model.config["model_type"] != "9B"  # said of the base alone
    assert "parser" not in model.config


def test_what_is_given_takes_the_place_of_what_is_inherited(library: Library, base: Model):
    model = made(
        library,
        base="base",
        files={"ignored.gguf": DIGEST},
        template="T2",
        system="S2",
        licenses=["L2"],
        parameters={"top_k": 3, "min_p": 0.5},
        messages=[Message(role="user", content="M2")],
        renderer="r2",
        parser="p2",
    )
    assert (model.template, model.system) == ("T2", "S2")
    assert model.licenses == ["L", "L2"]
    assert model.parameters == {"seed": 1, "top_k": 3, "min_p": 0.5}
    assert [message.content for message in model.messages] == ["M2"]
    assert [model.config[key] for key in ("renderer", "parser", "requires")] == ["r2", "p2", "0.1"]


def test_a_model_may_be_made_from_itself(library: Library, base: Model):
    model = made(library, "base", base="base", system="changed")
    assert (model.system, model.template) == ("changed", "T")


# What is told meanwhile.


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


def test_quantizing_a_model(library: Library, gguf: Path):
    digest, steps = blob(library, gguf), list[Progress]()
    recipe = Recipe(files={"model.gguf": digest}, quantize="Q8_0")
    create(library, "made", recipe, steps.append, engine_quantize)
    model = library.open("made")
    assert model.metadata.quantization == model.config["file_type"] == "Q8_0"
    assert "Q8_0" in {tensor.type_name for tensor in model.metadata.tensors}
    told = [step.status for step in steps]
    assert told[0] == "parsing GGUF"
    assert set(told[1:-4]) == {"quantizing F32 model to Q8_0"}
    assert told[-4:] == [
        "verifying conversion",
        f"creating new layer {model.layers[0].digest}",
        "writing manifest",
        "success",
    ]
    bar = [step for step in steps if step.total]
    assert bar[-1].completed == bar[-1].total == gguf.stat().st_size
    assert {step.digest for step in bar} == {"0" * 19}

    with pytest.raises(BadRequest, match="quantization is only supported for F16, BF16 and F32 models"):
        made(library, "again", base="made", quantize="Q4_K_M")


@pytest.mark.parametrize("said", [None, 2])
def test_a_float_model_is_quantized_whatever_it_says_it_is(
    library: Library, tmp_path: Path, said: int | None
):
    shape_model(tmp_path / "m.gguf", quantisation=GGMLQuantizationType.F16, file_type=said)
    digest = blob(library, tmp_path / "m.gguf")
    assert made(library, files={"m.gguf": digest}, quantize="Q8_0").config["file_type"] == "Q8_0"
    model = made(library, files={"m.gguf": digest}, quantize="F16")
    assert model.metadata.quantization == model.config["file_type"] == "F16"


def test_a_quantized_model_that_says_it_is_not_is_refused(library: Library, tmp_path: Path):
    shape_model(tmp_path / "m.gguf", quantisation=GGMLQuantizationType.Q8_0, file_type=1)
    with pytest.raises(BadRequest, match="quantization is only supported for F16, BF16 and F32 models"):
        made(library, files={"m.gguf": blob(library, tmp_path / "m.gguf")}, quantize="F16")


def test_a_model_with_its_projector_inside_is_kept_and_not_quantized(library: Library, tmp_path: Path):
    text, sight = vision_model(tmp_path)
    digest = blob(library, rewritten([text, sight], tmp_path / "one.gguf", "gemma3"))
    model = made(library, files={"one.gguf": digest})
    assert [layer.digest for layer in model.layers] == [digest]
    with pytest.raises(
        BadRequest, match=r"one\.gguf: it keeps its projector inside, and libllama quantizes a"
    ):
        made(library, files={"one.gguf": digest}, quantize="Q8_0")


def test_a_model_that_is_of_that_type_already_stays_as_it_is(library: Library, gguf: Path):
    digest = blob(library, gguf)
    model = made(library, files={"model.gguf": digest}, quantize="F32")
    assert model.layers[0].digest == digest


# What goes wrong.


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "neither 'from' or 'files' was specified"),
        ({"files": {}}, "no files provided to convert"),
        ({"files": {"/etc/passwd": DIGEST}}, 'file path must be relative: "/etc/passwd"'),
        ({"files": {"a/../../b.gguf": DIGEST}}, "file path must be relative"),
        ({"files": {"a//b": DIGEST}}, "file path must be relative"),
        ({"files": {"./b": DIGEST}}, "file path must be relative"),
        ({"files": {"a\\b": DIGEST}}, "file path must be relative"),
        ({"files": {"c:x": DIGEST}}, "file path must be relative"),
        ({"files": {"a\0b": DIGEST}}, 'file path must be relative: "a\\u0000b"'),
        ({"files": {"": DIGEST}}, "file path must be relative"),
        ({"base": "m", "adapters": {"../a": DIGEST}}, "file path must be relative"),
        ({"base": "m", "parameters": {"tempo": 1}}, "unknown parameter 'tempo'"),
        ({"base": "m", "parameters": {"seed": "one"}}, 'option "seed" must be of type integer'),
        ({"base": "m", "parameters": {"stop": "x"}}, 'option "stop" must be of type array'),
        ({"base": "m", "info": {"base_name": 1}}, 'info field "base_name" must be a string'),
        ({"base": "m", "info": {"context_length": "1"}}, 'info field "context_length" must be a number'),
        (
            {"base": "m", "info": {"context_length": 1.5}},
            'info field "context_length" must be a non-negative',
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(recipe: dict[str, Any], message: str):
    with pytest.raises(BadRequest) as error:
        Recipe(**recipe)
    assert str(error.value).startswith(message)


def truncated(path: Path) -> Path:
    scripted_model(path, "hello")
    os.truncate(path, path.stat().st_size // 2)
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("m.gguf", written(b"not one"), "m.gguf: supplied file was not in GGUF format"),
        ("m.gguf", written(b""), "m.gguf: supplied file was not in GGUF format"),
        ("m.bin", written(b"PK\3\4"), "unknown type: neither safetensors nor GGUF: m.bin"),
        ("m.gguf", truncated, "unable to load model m.gguf: it is truncated"),
        ("m.gguf", written(b"GGUF\3\0\0\0" + b"\xff" * 16), "unable to load model m.gguf: it claims"),
        ("m.gguf", adapter, "no base model was found"),
        ("m.gguf", written(b"GGUF\3" + bytes(19)), "m.gguf: it does not say which architecture it is of"),
    ],
)
def test_a_bad_file_is_named_and_changes_nothing(
    library: Library, tmp_path: Path, name: str, make: Callable[[Path], Path], message: str
):
    put_real(library, "made")
    before, digest = contents(library), blob(library, make(tmp_path / "file"))
    with pytest.raises(BadRequest) as error:
        made(library, files={name: digest})
    assert str(error.value).startswith(message)
    library.blob_path(digest).unlink()
    assert contents(library) == before


def contents(library: Library) -> dict[str, bytes]:
    """Every file of the store, locks left out."""
    files = (path for path in library.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.read_bytes() for path in files}


def test_what_is_not_there_is_named(library: Library, gguf: Path, base: Model):
    with pytest.raises(BadRequest, match=f"m.gguf: blob {DIGEST} not found"):
        made(library, files={"m.gguf": DIGEST})
    with pytest.raises(BadRequest, match="invalid digest format"):
        made(library, files={"m.gguf": ""})
    with pytest.raises(NotFound, match="model 'nobody' not found"):
        made(library, base="nobody")
    with pytest.raises(InvalidName):
        made(library, "a b", base="base")
    with pytest.raises(BadRequest, match=r"lora\.gguf: not a LoRA adapter"):
        made(library, base="base", adapters={"lora.gguf": blob(library, gguf)})
    with pytest.raises(BadRequest, match=r"more than one model: a\.gguf, b\.gguf"):
        made(library, files={"a.gguf": blob(library, gguf), "b.gguf": blob(library, gguf)})


class Left(Exception):
    pass


def steps_of(library: Library, recipe: Recipe) -> int:
    steps: list[Progress] = []
    create(library, "probe", recipe, steps.append, engine_quantize)
    library.delete("probe")
    return len(steps)


def test_leaving_at_any_step_but_the_last_changes_nothing(library: Library, tmp_path: Path):
    whole = tmp_path / "whole.gguf"
    shape_model(whole)
    put_real(library, "made", system="old")
    parts = {path.name: blob(library, path) for path in split(whole, tmp_path, 2)}
    recipe = Recipe(files=parts, system="new", licenses=["L"], parameters={"seed": 1})
    count = steps_of(library, recipe)
    for digest in parts.values():
        library.hold_blob(digest)
    before = contents(library)
    for last in range(count - 1):
        told: list[Progress] = []

        def report(step: Progress, told: list[Progress] = told, last: int = last) -> None:
            if len(told) == last:
                raise Left
            told.append(step)

        with pytest.raises(Left):
            create(library, "made", recipe, report, engine_quantize)
        assert contents(library) == before


def test_a_failed_quantization_changes_nothing(library: Library, gguf: Path):
    digest = blob(library, gguf)
    before = contents(library)

    def fail(source: Path, target: Path, kind: str, on_progress: Callable[[int, int], None]) -> None:
        target.write_bytes(b"half")
        raise PunaError("out of memory")

    with pytest.raises(PunaError, match="out of memory"):
        create(library, "made", Recipe(files={"m.gguf": digest}, quantize="Q8_0"), lambda _: None, fail)
    assert contents(library) == before


# Round trip through `show`.


def recreated(library: Library, text: str) -> Model:
    """What a client makes of a Modelfile: files by their digests, everything else as it is."""
    found = parse(text.encode())
    local = [Path(source) for source in found.sources if Path(source).is_absolute()]
    recipe = Recipe(
        base="" if local else found.sources[0],
        files=sent(library, local) or None,
        adapters=sent(library, map(Path, found.adapters)),
        template=found.template,
        system=found.system,
        licenses=list(found.licenses),
        parameters=found.parameters,
        messages=list(found.messages),
        renderer=found.renderer,
        parser=found.parser,
        requires=found.requires,
    )
    create(library, "again", recipe, lambda _: None, engine_quantize)
    return library.open("again")


def sent(library: Library, paths: Iterable[Path]) -> dict[str, str]:
    return {f"{number}.gguf": blob(library, path) for number, path in enumerate(paths)}


def essence(model: Model) -> dict[str, Any]:
    return {
        "files": (model.weights, set(model.projectors), set(model.adapters)),
        "texts": (model.template or "", model.system, model.licenses, model.messages),
        "parameters": model.parameters,
        "config": {key: value for key, value in model.config.items() if key != "rootfs"},
    }


texts = st.one_of(
    st.text(st.sampled_from(list('"# \t\na{}é\u3000')), max_size=8),
    st.sampled_from(['"""\nx', 'say "hi"', "two\nlines\n", "FROM x", ""]),
)
recipes = st.fixed_dictionaries(
    {
        "template": texts,
        "system": texts,
        "licenses": st.lists(texts.filter(bool), max_size=2),
        "parameters": st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.floats(0, 2),
                "seed": st.integers(-5, 5),
                "use_mmap": st.booleans(),
                "stop": st.lists(texts, max_size=2),
            },
        ),
        "messages": st.lists(
            st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts),
            max_size=2,
        ),
        "renderer": st.sampled_from(["", "qwen3"]),
        "requires": st.sampled_from(["", "0.14.0", "not one"]),
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(recipe=recipes)
def test_the_modelfile_that_is_shown_makes_the_model_again(tmp_path: Path, recipe: dict[str, Any]):
    library = Library(tmp_path / "my models")
    files = {}
    if not (tmp_path / "model.gguf").exists():
        scripted_model(tmp_path / "model.gguf", "hello")
        adapter(tmp_path / "lora.gguf")
        small_gguf(tmp_path / "mm.gguf", "clip", general__type="mmproj")
    for name in ("model.gguf", "mm.gguf", "lora.gguf"):
        files[name] = blob(library, tmp_path / name)
    model = made(library, "original", files=files, **recipe)
    assert essence(recreated(library, show(model)["modelfile"])) == essence(model)


def test_a_text_no_modelfile_can_hold_is_taken_from_the_model_itself(library: Library, gguf: Path):
    unsayable = 'Answer in Python:\n"""\ndocs\n"""\n'
    files = {"m.gguf": blob(library, gguf)}
    model = made(library, "original", files=files, system=unsayable, template="T", licenses=["L"])
    text = show(model)["modelfile"]
    assert 'cannot hold this SYSTEM: a line in it ends in """' in text
    assert text.endswith('FROM original:latest\nTEMPLATE "T"\n')
    assert essence(recreated(library, text)) == essence(model)


def test_the_config_blob_is_json_on_a_line(library: Library, base: Model):
    manifest = json.loads((library.root / "manifests/registry.ollama.ai/library/base/latest").read_bytes())
    content = library.blob_path(manifest["config"]["digest"]).read_bytes()
    assert json.loads(content) == base.config


# What a conversion works in.


def test_files_lie_under_their_names_while_they_are_converted(library: Library, tmp_path: Path):
    with ExitStack() as made:
        kitchen = Kitchen(library, lambda step: None, made)
        digests = {
            name: library.add_blob([name.encode()])[0] for name in ("config.json", "a/b/model.safetensors")
        }
        with kitchen.laid_out(digests) as folder:
            assert {name: (folder / name).read_text() for name in digests} == {name: name for name in digests}
        assert not folder.exists()
        assert library.blob_path(digests["config.json"]).read_text() == "config.json"
        with (
            pytest.raises(BadRequest, match="a/b: a file and a folder have the same name"),
            kitchen.laid_out({"a": digests["config.json"], "a/b": digests["config.json"]}),
        ):
            pass


def test_safetensors_without_a_config_are_refused_and_change_nothing(library: Library, tmp_path: Path):
    put_real(library, "made")
    digest = library.add_blob([b"\x02\0\0\0\0\0\0\0{}"])[0]
    before, told = contents(library), list[Progress]()
    with pytest.raises(BadRequest, match=r"config\.json"):
        create(library, "made", Recipe(files={"model.safetensors": digest}), told.append, engine_quantize)
    assert [step.status for step in told] == ["converting model"]
    assert contents(library) == before
