"""`convert`: a BERT in safetensors form gives the same vectors as a GGUF file in libllama."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import MODEL_ARCH, GGUFReader, get_tensor_name_map
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from puna.library.bert import convert, spelled, tensor_names
from puna.types import PunaError
from tests.library.bert_reference import Reference
from tests.library.libllama import loaded
from tests.texts import TEXTS

LAYERS, WIDTH, INNER, HEADS, POSITIONS = 2, 64, 128, 4, 96
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", "the", "cat", "sat", "play", "##ing"]
VOCABULARY += ["##s", "e", "##e", "##a", "!", ".", "猫", "的", "\u2028x", "1", "##2"]

CONFIG: dict[str, Any] = {
    "num_hidden_layers": LAYERS,
    "max_position_embeddings": POSITIONS,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_attention_heads": HEADS,
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}


def shape(name: str) -> tuple[int, ...]:
    widths = {"intermediate.dense": (INNER, WIDTH), "output.dense": (WIDTH, INNER)}
    embeddings = {"word": len(VOCABULARY), "position": POSITIONS, "token_type": 2}
    for kind, rows in embeddings.items():
        if name == f"embeddings.{kind}_embeddings.weight":
            return rows, WIDTH
    layer_part = name.split(".", 3)[-1].rsplit(".", 1)[0] if name.startswith("encoder") else ""
    rows, columns = widths.get(layer_part, (WIDTH, WIDTH))
    return (rows,) if name.endswith("bias") or "LayerNorm" in name else (rows, columns)


def write_model(folder: Path, **changed: Any) -> Path:
    """A small random BERT, its files as sentence-transformers lays them out."""
    random = np.random.default_rng(3)
    header, data = {}, b""
    for name in [*tensor_names(LAYERS), "pooler.dense.weight"]:
        values = random.standard_normal(shape(name), np.float32) * np.float32(0.5)
        if name.endswith("LayerNorm.weight"):
            values += 1
        header[name] = {
            "dtype": "F32",
            "shape": values.shape,
            "data_offsets": [len(data), len(data) + values.nbytes],
        }
        data += values.tobytes()
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    tokenizer = Tokenizer(WordPiece({token: at for at, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def nothing(done: int, total: int) -> None:
    pass


def test_tensor_names_are_those_of_the_gguf_package():
    known = get_tensor_name_map(MODEL_ARCH.BERT, LAYERS)
    for name, gguf_name in tensor_names(LAYERS).items():
        assert known.get_name(name, (".weight", ".bias")) == gguf_name


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("play", "▁play"),
        ("##ing", "ing"),
        ("[CLS]", "[CLS]"),
        ("[", "▁["),
        ("#", "▁#"),
        ("猫", "▁猫"),
    ],
)
def test_tokens_are_spelled_as_libllama_wants_them(token: str, expected: str):
    assert spelled(token) == expected


def test_a_random_model_gives_the_reference_s_vectors(tmp_path: Path):
    folder = write_model(tmp_path / "model")
    convert(folder, tmp_path / "model.gguf", {"name": "tiny"}, nothing)
    reference = Reference(folder)
    with loaded(tmp_path / "model.gguf", embeddings=True) as model:
        for text in (
            "The cat sat.",
            "PLAYING plays!",
            "猫的cat",
            "élan ee",
            "unknown words 12",
            "a" * 300,
            "",
        ):
            ids = reference.tokens(text)
            assert model.tokens(text) == ids
            assert model.embed(ids) @ reference.embed_tokens(ids) > 0.9999


def test_the_file_says_what_the_model_is(tmp_path: Path):
    convert(write_model(tmp_path / "model"), tmp_path / "g", {"name": "tiny", "license": "mit"}, nothing)
    fields = {key: field.contents() for key, field in GGUFReader(tmp_path / "g").fields.items()}
    assert fields["general.architecture"] == "bert"
    assert (fields["general.name"], fields["general.license"]) == ("tiny", "mit")
    assert fields["general.file_type"] == 1
    assert (fields["bert.block_count"], fields["bert.context_length"]) == (LAYERS, POSITIONS)
    assert (fields["bert.embedding_length"], fields["bert.feed_forward_length"]) == (WIDTH, INNER)
    assert fields["bert.attention.head_count"] == HEADS
    assert fields["bert.attention.causal"] is False
    assert fields["bert.pooling_type"] == 1
    assert fields["tokenizer.ggml.tokens"] == [spelled(token) for token in VOCABULARY]
    assert fields["tokenizer.ggml.token_type"] == [3] * 5 + [1] * (len(VOCABULARY) - 5)
    special = ("padding", "unknown", "bos", "seperator", "mask")
    assert [fields[f"tokenizer.ggml.{kind}_token_id"] for kind in special] == [0, 1, 2, 3, 4]


def test_progress_ends_at_the_total(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    convert(
        write_model(tmp_path / "model"), tmp_path / "g", {}, lambda done, total: seen.append((done, total))
    )
    weights = sum(int(tensor.n_bytes) for tensor in GGUFReader(tmp_path / "g").tensors)
    assert seen == sorted(seen)
    assert seen[-1] == (weights, weights)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", "{", "cannot read config.json"),
        ("config.json", "[]", "not an object"),
        ("config.json", '{"num_hidden_layers": 2}', "config.json has no max_position_embeddings"),
        ("config.json", json.dumps(CONFIG | {"num_hidden_layers": 3}), "no tensor encoder.layer.2."),
        ("vocab.txt", "\n".join(VOCABULARY[:-1]), "different numbers of tokens"),
        ("vocab.txt", "\n".join(["x", *VOCABULARY[1:]]), "lacks a special token"),
        ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "pools its tokens neither"),
        ("model.safetensors", "1234567890", "model.safetensors is damaged"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, file: str, content: str, reason: str):
    folder = write_model(tmp_path / "model")
    (folder / file).write_text(content)
    with pytest.raises(PunaError, match=reason):
        convert(folder, tmp_path / "g", {}, nothing)


def test_the_starter_gives_the_reference_s_vectors(minilm: Path, tmp_path: Path):
    convert(minilm, tmp_path / "model.gguf", {}, nothing)
    reference = Reference(minilm)
    with loaded(tmp_path / "model.gguf", embeddings=True) as model:
        assert model.pooling == 1
        for text in TEXTS:
            ids = reference.tokens(text)
            assert model.embed(ids) @ reference.embed_tokens(ids) >= 0.999, text
