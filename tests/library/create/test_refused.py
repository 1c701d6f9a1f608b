"""What goes wrong while a model is made: it is named, and nothing is left of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from puna.engine import quantize as engine_quantize
from puna.errors import BadRequest, InvalidName, NotFound, PunaError
from puna.library import Library, Model, Name, Recipe, create
from puna.types import Progress
from tests.library.create.making import DIGEST, adapter, blob, contents, made, unknown
from tests.library.split_files import split
from tests.library.stores import digest_of, layer, put_real
from tests.models import scripted_model, shape_model


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
    library.blobs.path(digest).unlink()
    assert contents(library) == before


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
    create(library, "probe", recipe, steps.append, engine_quantize, unknown)
    library.delete("probe")
    return len(steps)


def test_leaving_at_any_step_but_the_last_changes_nothing(library: Library, tmp_path: Path):
    whole = tmp_path / "whole.gguf"
    shape_model(whole)
    put_real(library, "made", system="old")
    parts = {path.name: blob(library, path) for path in split(whole, tmp_path, 2)}
    recipe = Recipe(files=parts, system="new", licenses=["L", "new"], parameters={"seed": 1})
    count = steps_of(library, recipe)
    for digest in parts.values():
        library.blobs.pin(digest)
    before = contents(library)
    for last in range(count - 1):
        told: list[Progress] = []

        def report(step: Progress, told: list[Progress] = told, last: int = last) -> None:
            if len(told) == last:
                raise Left
            told.append(step)

        with pytest.raises(Left):
            create(library, "made", recipe, report, engine_quantize, unknown)
        assert contents(library) == before


@pytest.mark.parametrize("same", [True, False], ids=["the same process", "another process"])
@pytest.mark.parametrize("early", [True, False], ids=["before", "meanwhile"])
def test_leaving_takes_no_blob_that_somebody_else_needs(
    library: Library, base: Model, same: bool, early: bool
):
    other = library if same else Library(library.root)
    shared = layer(other, "system", b"said by both") if early else None

    def report(step: Progress) -> None:
        nonlocal shared
        if step.status == "writing manifest":
            shared = shared or layer(other, "system", b"said by both")
            raise Left

    recipe = Recipe(base="base", system="said by both", template="alone")
    with pytest.raises(Left):
        create(library, "made", recipe, report, engine_quantize, unknown)
    assert shared
    assert not library.blobs.path(digest_of(b"alone")).exists()
    other.write_manifest(Name.parse("other"), {}, [*base.layers, shared])
    assert other.open("other").system == "said by both"


def test_a_failed_quantization_changes_nothing(library: Library, gguf: Path):
    digest = blob(library, gguf)
    before = contents(library)

    def fail(source: Path, target: Path, kind: str, on_progress: Callable[[int, int], None]) -> None:
        target.write_bytes(b"half")
        raise PunaError("out of memory")

    with pytest.raises(PunaError, match="out of memory"):
        create(
            library,
            "made",
            Recipe(files={"m.gguf": digest}, quantize="Q8_0"),
            lambda _: None,
            fail,
            unknown,
        )
    assert contents(library) == before


def test_safetensors_without_a_config_are_refused_and_change_nothing(library: Library, tmp_path: Path):
    put_real(library, "made")
    digest = library.blobs.add([b"\x02\0\0\0\0\0\0\0{}"])[0]
    before, told = contents(library), list[Progress]()
    with pytest.raises(BadRequest, match=r"config\.json"):
        create(
            library,
            "made",
            Recipe(files={"model.safetensors": digest}),
            told.append,
            engine_quantize,
            unknown,
        )
    assert [step.status for step in told] == ["converting model"]
    assert contents(library) == before
