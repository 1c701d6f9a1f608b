"""Models made from other models."""

from __future__ import annotations

import json

from puna.library import Library, Model
from puna.types import Message
from tests.library.create.making import DIGEST, made
from tests.library.stores import blobs


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


def test_the_config_blob_is_json_on_a_line(library: Library, base: Model):
    manifest = json.loads((library.root / "manifests/registry.ollama.ai/library/base/latest").read_bytes())
    content = library.blobs.path(manifest["config"]["digest"]).read_bytes()
    assert json.loads(content) == base.config


def test_nothing_is_left_of_a_model_and_of_what_was_made_of_it(library: Library, base: Model):
    made(library, base="base", system="S2", template="T2", parameters={"seed": 5}, quantize="Q8_0")
    library.delete("base")
    library.delete("made")
    assert blobs(library) == set()
