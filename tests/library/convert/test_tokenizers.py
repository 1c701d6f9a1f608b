"""Tokenizers: libllama cuts text as the `tokenizers` package does with the same files, Chinese among it."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from puna.errors import BadRequest
from puna.library.convert import convert
from tests.library.convert.checkpoints import BASE, VOCABULARY, decoder, write_checkpoint
from tests.library.convert.tokenizers_made import CUTTERS, TEXTS, byte_level, sentencepiece
from tests.library.libllama import loaded

CONFIG = {**BASE, "architectures": ["LlamaForCausalLM"]}
MIXED = (
    *TEXTS,
    "",
    " ",
    "\n",
    "hello世界hello",
    "a<|im_start|>b<|im_end|>  c<think>d",
    "１２３ ½ Ⅷ",
    "🦙" * 3,
    "x" * 200,
)

NO_MARKS = ("gpt-4o", "tekken")
"""Where libllama's own expression leaves out combining marks."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama without a tokenizer."""
    return write_checkpoint(tmp_path_factory.mktemp("plain"), CONFIG, decoder(CONFIG), "F16")


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    for file in plain.iterdir():
        (model / file.name).hardlink_to(file)
    return model


def converted(folder: Path) -> Path:
    convert(folder, folder / "out.gguf", lambda done, total: None)
    return folder / "out.gguf"


def fields(path: Path) -> dict[str, Any]:
    return {key: field.contents() for key, field in GGUFReader(path).fields.items()}


def change(folder: Path, file: str, **values: Any) -> None:
    path = folder / file
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**old, **values}))


@pytest.mark.parametrize("cutter", CUTTERS)
def test_byte_level_bpe_cuts_as_the_tokenizers_package_does(folder: Path, cutter: str):
    tokenizer = byte_level(folder, cutter)
    change(folder, "tokenizer_config.json", add_bos_token=False)
    path = converted(folder)
    assert fields(path)["tokenizer.ggml.pre"] == cutter
    with loaded(path) as model:
        for text in MIXED:
            if cutter in NO_MARKS and "नमस्ते" in text:
                continue
            assert model.tokens(text) == tokenizer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize("own_file", [True, False])
@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_cuts_as_the_tokenizers_package_does(folder: Path, prefix: bool, own_file: bool):
    tokenizer = sentencepiece(folder, prefix=prefix, own_file=own_file)
    path = converted(folder)
    assert fields(path)["tokenizer.ggml.add_space_prefix"] is prefix
    begin = [tokenizer.token_to_id("<s>")]
    with loaded(path) as model:
        for text in MIXED:
            if "<|im" in text or not text:
                continue  # transformers' own options say whether a space follows a special token
            assert model.tokens(text) == begin + tokenizer.encode(text, add_special_tokens=False).ids, text


@given(text=st.text(st.sampled_from(string.printable + "".join(TEXTS)), max_size=40))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_text_is_cut_alike(any_text: Callable[[str], tuple[list[int], list[int]]], text: str):
    ours, theirs = any_text(text)
    assert ours == theirs


@pytest.fixture(scope="module")
def any_text(plain: Path):
    folder = plain
    tokenizer: Tokenizer = byte_level(folder, "gpt-2")
    path = converted(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with loaded(path) as model:
        yield lambda text: (model.tokens(text), tokenizer.encode(text, add_special_tokens=False).ids)
    path.unlink()


def test_special_tokens_and_template_are_carried_over(folder: Path):
    tokenizer = byte_level(folder, first="<|endoftext|>")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [497, 498]}))
    found = fields(converted(folder))
    assert found["tokenizer.ggml.bos_token_id"] == tokenizer.token_to_id("<|endoftext|>")
    assert found["tokenizer.ggml.eos_token_id"] == tokenizer.token_to_id("<|im_end|>")
    assert found["tokenizer.ggml.padding_token_id"] == tokenizer.token_to_id("<|endoftext|>")
    assert found["tokenizer.ggml.add_bos_token"] is True
    assert found["tokenizer.ggml.add_eos_token"] is False
    assert found["tokenizer.ggml.eos_token_ids"] == [497, 498]
    assert found["tokenizer.chat_template"] == "{% for m in messages %}{{ m.content }}{% endfor %}"
    kinds = dict(zip(found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"], strict=True))
    assert (kinds["<|im_end|>"], kinds["<think>"], kinds["Ġ"]) == (3, 4, 1)
    assert len(found["tokenizer.ggml.tokens"]) == VOCABULARY
    assert kinds[f"[PAD{VOCABULARY - 1}]"] == 5


def test_what_is_said_of_the_begin_token_counts_more_than_what_is_done(folder: Path):
    byte_level(folder, first="<|endoftext|>")
    change(folder, "tokenizer_config.json", add_bos_token=False)
    assert fields(converted(folder))["tokenizer.ggml.add_bos_token"] is False


def test_ids_in_config_json_stand_in_for_names(folder: Path):
    byte_level(folder)
    (folder / "tokenizer_config.json").unlink()
    change(folder, "generation_config.json", eos_token_id=[7, 9])
    found = fields(converted(folder))
    assert found["tokenizer.ggml.eos_token_id"] == 7


def test_a_template_in_a_file_of_its_own_counts_most(folder: Path):
    byte_level(folder)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}你好")
    assert fields(converted(folder))["tokenizer.chat_template"] == "{{ messages[0].content }}你好"


def test_of_several_templates_each_has_its_name(folder: Path):
    byte_level(folder)
    templates = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    change(folder, "tokenizer_config.json", chat_template=templates)
    found = fields(converted(folder))
    assert (found["tokenizer.chat_template"], found["tokenizer.chat_template.tool_use"]) == ("D", "T")


def test_merges_may_be_pairs_or_lines(folder: Path):
    byte_level(folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pairs = fields(converted(folder))["tokenizer.ggml.merges"]
    tokenizer["model"]["merges"] = [" ".join(pair) for pair in tokenizer["model"]["merges"]]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert fields(converted(folder))["tokenizer.ggml.merges"] == pairs


def broken(change_it: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        value = json.loads((folder / "tokenizer.json").read_text())
        change_it(value)
        (folder / "tokenizer.json").write_text(json.dumps(value))

    return apply


def set_in(value: dict[str, Any], *keys: str, to: Any) -> None:
    for key in keys[:-1]:
        value = value[key]
    value[keys[-1]] = to


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unknown cutting": (
        broken(lambda v: set_in(v["pre_tokenizer"]["pretokenizers"][0], "pattern", to={"Regex": "[a-z]+"})),
        "tokenizer.json: unknown pre-tokenizer",
    ),
    "unigram": (broken(lambda v: set_in(v, "model", "type", to="Unigram")), "a Unigram tokenizer cannot"),
    "no vocabulary": (
        broken(lambda v: set_in(v, "model", "vocab", to={})),
        "tokenizer.json has no vocabulary",
    ),
    "id too large": (broken(lambda v: set_in(v, "model", "vocab", "a", to=640)), "the model has 640 tokens"),
    "id no number": (broken(lambda v: set_in(v, "model", "vocab", "a", to="b")), "token 'a' has the id 'b'"),
    "no merges": (broken(lambda v: set_in(v, "model", "merges", to=None)), "tokenizer.json has no merges"),
    "no merge": (broken(lambda v: set_in(v, "model", "merges", to=["abc"])), "'abc' is no merge"),
    "added token": (
        broken(lambda v: set_in(v, "added_tokens", to=[{"id": 1}])),
        "an added token is not described",
    ),
    "token twice": (
        broken(lambda v: set_in(v["added_tokens"][0], "content", to="a")),
        "has the token 'a' twice",
    ),
    "no text": (broken(lambda v: set_in(v["added_tokens"][0], "content", to="\ud800")), "that is no text"),
    "no JSON": (
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        "cannot read tokenizer.json",
    ),
    "no object": (lambda folder: (folder / "tokenizer.json").write_text("3"), "not an object"),
    "nothing": (lambda folder: (folder / "tokenizer.json").unlink(), "unknown tokenizer"),
    "template": (
        lambda folder: change(folder, "tokenizer_config.json", chat_template=[{"name": "x"}]),
        "chat_template is no template",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_tokenizer_that_cannot_be_had_is_an_error_that_names_the_file(folder: Path, name: str):
    byte_level(folder)
    damage, reason = BROKEN[name]
    damage(folder)
    with pytest.raises(BadRequest, match=reason):
        converted(folder)


@given(content=st.binary(max_size=80))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_bytes_as_a_sentencepiece_file_are_a_clear_error(tmp_path: Path, content: bytes):
    from puna.library.convert.checkpoint import Checkpoint
    from puna.library.convert.vocabulary import read_vocabulary

    (tmp_path / "tokenizer.model").write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    with suppress(BadRequest):
        assert len(read_vocabulary(Checkpoint(tmp_path), 8).tokens) == 8
