"""Sentence encoders: BERT and nomic-embed give the references' vectors after their conversion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from tokenizers import Tokenizer, normalizers
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library.convert import convert
from puna.library.convert.vocabulary.wordpiece import llama_spelling
from tests.library.bert_reference import NomicReference, Reference
from tests.library.convert.checkpoints import Maker, write_safetensors
from tests.library.libllama import loaded
from tests.texts import TEXTS

LAYERS, WIDTH, INNER, HEADS, POSITIONS = 2, 64, 128, 4, 96
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", "the", "cat", "sat", "play", "##ing"]
VOCABULARY += ["##s", "e", "##e", "##a", "!", ".", "猫", "的", "\u2028x", "1", "##2"]

CONFIG: dict[str, Any] = {
    "architectures": ["BertModel"],
    "num_hidden_layers": LAYERS,
    "max_position_embeddings": POSITIONS,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_attention_heads": HEADS,
    "layer_norm_eps": 1e-12,
    "type_vocab_size": 2,
}
NOMIC: dict[str, Any] = {
    "architectures": ["NomicBertModel"],
    "n_layer": LAYERS,
    "n_positions": 8192,
    "n_embd": WIDTH,
    "n_inner": INNER,
    "n_head": HEADS,
    "layer_norm_epsilon": 1e-12,
    "type_vocab_size": 2,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "activation_function": "swiglu",
    "prenorm": False,
    "qkv_proj_bias": False,
}


def bert_weights(tokens: int) -> Maker:
    made = Maker(3)
    for name, rows in (("word", tokens), ("position", POSITIONS), ("token_type", 2)):
        made.matrix(f"embeddings.{name}_embeddings.weight", rows, WIDTH, inputs=4)
    made.norm("embeddings.LayerNorm.weight", WIDTH)
    made.bias("embeddings.LayerNorm.bias", WIDTH)
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        parts = {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (INNER, WIDTH),
            "output.dense": (WIDTH, INNER),
        }
        for name, (rows, columns) in parts.items():
            made.matrix(f"{at}{name}.weight", rows, columns)
            made.bias(f"{at}{name}.bias", rows)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            made.norm(f"{at}{name}.weight", WIDTH)
            made.bias(f"{at}{name}.bias", WIDTH)
    made.matrix("pooler.dense.weight", WIDTH, WIDTH)
    made.bias("pooler.dense.bias", WIDTH)
    return made


def nomic_weights() -> Maker:
    made = Maker(4)
    # Rows up to a round number, as they are published.
    made.matrix("embeddings.word_embeddings.weight", 64, WIDTH, inputs=4)
    made.matrix("embeddings.token_type_embeddings.weight", 2, WIDTH, inputs=4)
    for norm in ("emb_ln", *(f"encoder.layers.{layer}.norm{n}" for layer in range(LAYERS) for n in (1, 2))):
        made.norm(f"{norm}.weight", WIDTH)
        made.bias(f"{norm}.bias", WIDTH)
    for layer in range(LAYERS):
        at = f"encoder.layers.{layer}."
        made.matrix(f"{at}attn.Wqkv.weight", 3 * WIDTH, WIDTH, scale=1.5)
        made.matrix(f"{at}attn.out_proj.weight", WIDTH, WIDTH)
        made.matrix(f"{at}mlp.fc11.weight", INNER, WIDTH)
        made.matrix(f"{at}mlp.fc12.weight", INNER, WIDTH)
        made.matrix(f"{at}mlp.fc2.weight", WIDTH, INNER)
    return made


def write_model(
    folder: Path, config: dict[str, Any] = CONFIG, vocabulary: list[str] = VOCABULARY, **changed: Any
) -> Path:
    """A small random model, its files as sentence-transformers lays them out."""
    made = nomic_weights() if config is NOMIC else bert_weights(len(vocabulary))
    (folder / "1_Pooling").mkdir(parents=True)
    write_safetensors(folder / "model.safetensors", made.weights)
    (folder / "config.json").write_text(json.dumps(config | changed))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    tokenizer(folder)
    return folder


def tokenizer(folder: Path, vocabulary: list[str] = VOCABULARY, normalizer: Any = None) -> Tokenizer:
    made = Tokenizer(WordPiece({token: at for at, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizer or BertNormalizer()
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    return made


def nothing(done: int, total: int) -> None:
    pass


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
    assert llama_spelling(token) == expected


SENTENCES = ("The cat sat.", "PLAYING plays!", "猫的cat", "élan ee", "unknown words 12", "a" * 300, "")


@pytest.mark.parametrize("listed", [True, False])
def test_a_random_bert_gives_the_reference_s_vectors(tmp_path: Path, listed: bool):
    folder = write_model(tmp_path / "model")
    reference = Reference(folder)
    if listed:
        (folder / "tokenizer.json").unlink()
    convert(folder, tmp_path / "model.gguf", nothing)
    with loaded(tmp_path / "model.gguf", embeddings=True, exact=True) as model:
        for text in SENTENCES:
            ids = reference.tokens(text)
            assert model.tokens(text) == ids
            assert np.abs(model.embed(ids) - reference.embed_tokens(ids)).max() < 2e-3


def test_a_random_nomic_embed_gives_the_reference_s_vectors(tmp_path: Path):
    folder = write_model(tmp_path / "model", NOMIC)
    convert(folder, tmp_path / "model.gguf", nothing)
    reference = NomicReference(folder)
    with loaded(tmp_path / "model.gguf", embeddings=True, exact=True) as model:
        for text in SENTENCES:
            ids = reference.tokens(text)
            assert model.tokens(text) == ids
            assert np.abs(model.embed(ids) - reference.embed_tokens(ids)).max() < 2e-3


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"moe_every_n_layers": 2}, "moe_every_n_layers is set"),
        ({"activation_function": "gelu"}, "activation_function is 'gelu'"),
        ({"n_head": 0}, "n_embd|n_head is no whole number"),
    ],
)
def test_a_nomic_embed_of_another_form_is_refused(tmp_path: Path, changed: dict[str, Any], reason: str):
    with pytest.raises(BadRequest, match=reason):
        convert(write_model(tmp_path / "model", NOMIC, **changed), tmp_path / "g", nothing)


def test_capitals_count_where_the_tokenizer_says_so(tmp_path: Path):
    folder = write_model(tmp_path / "model")
    tokenizer(folder, normalizer=BertNormalizer(lowercase=False))
    convert(folder, tmp_path / "model.gguf", nothing)
    with loaded(tmp_path / "model.gguf", embeddings=True) as model:
        assert model.tokens("the The") == Reference(folder).tokens("the The") == [2, 6, 1, 3]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"do_lower_case": False}, {"lowercase": False, "strip_accents": False}),
        ({"do_lower_case": True, "strip_accents": False}, {"lowercase": True, "strip_accents": False}),
        ({"do_lower_case": False, "strip_accents": True}, {"lowercase": False, "strip_accents": True}),
        ({"tokenize_chinese_chars": False}, {"handle_chinese_chars": False}),
        ({}, {}),
    ],
)
def test_without_a_tokenizer_json_its_settings_count(
    tmp_path: Path, settings: dict[str, Any], said: dict[str, Any]
):
    folder = write_model(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    convert(folder, tmp_path / "model.gguf", nothing)
    prefix = "tokenizer.ggml.normalizer."
    values = read_metadata(tmp_path / "model.gguf").values
    assert {
        key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)
    } == said


def test_a_normalizer_nobody_else_does_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / "model")
    tokenizer(folder, normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]))
    with pytest.raises(BadRequest, match=r'tokenizer\.json: normalizer has the step "NFKC"'):
        convert(folder, tmp_path / "model.gguf", nothing)


def test_the_file_says_what_the_model_is(tmp_path: Path):
    convert(write_model(tmp_path / "model"), tmp_path / "g", nothing, {"name": "tiny", "license": "mit"})
    fields = {key: field.contents() for key, field in GGUFReader(tmp_path / "g").fields.items()}
    assert fields["general.architecture"] == "bert"
    assert (fields["general.name"], fields["general.license"]) == ("tiny", "mit")
    assert fields["general.file_type"] == 1
    assert (fields["bert.block_count"], fields["bert.context_length"]) == (LAYERS, POSITIONS)
    assert (fields["bert.embedding_length"], fields["bert.feed_forward_length"]) == (WIDTH, INNER)
    assert fields["bert.attention.head_count"] == HEADS
    assert fields["bert.attention.causal"] is False
    assert fields["bert.pooling_type"] == 1
    assert fields["tokenizer.ggml.tokens"] == [llama_spelling(token) for token in VOCABULARY]
    assert fields["tokenizer.ggml.token_type"] == [3] * 5 + [1] * (len(VOCABULARY) - 5)
    special = ("padding", "unknown", "bos", "seperator", "mask")
    assert [fields[f"tokenizer.ggml.{kind}_token_id"] for kind in special] == [0, 1, 2, 3, 4]


def test_progress_ends_at_the_total(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    convert(write_model(tmp_path / "model"), tmp_path / "g", lambda done, total: seen.append((done, total)))
    weights = sum(int(tensor.n_bytes) for tensor in GGUFReader(tmp_path / "g").tensors)
    assert seen == sorted(seen)
    assert seen[-1] == (weights, weights)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", "{", "cannot read config.json"),
        ("config.json", "[]", "config.json: not an object"),
        ("config.json", json.dumps(CONFIG | {"hidden_size": None}), "config.json has no hidden_size"),
        ("config.json", json.dumps(CONFIG | {"num_hidden_layers": 3}), "for layer 2"),
        ("config.json", json.dumps(CONFIG | {"num_hidden_layers": 10**9}), "no whole number from 1 to 1000"),
        ("vocab.txt", "\n".join([*VOCABULARY, "more"]), "vocab.txt: token 'more' has the id 22"),
        ("vocab.txt", "\n".join(["x", *VOCABULARY[1:]]), r"vocab.txt lacks the special token \[PAD\]"),
        ("vocab.txt", "\n".join([*VOCABULARY[:-1], "the"]), "vocab.txt has the token 'the' twice"),
        ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "pools its tokens neither"),
        ("modules.json", '[{"type": "x.Pooling", "path": "../secret"}]', "is no folder of the model"),
        ("model.safetensors", "1234567890", "model.safetensors is damaged"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, file: str, content: str, reason: str):
    folder = write_model(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (folder / file).write_text(content)
    with pytest.raises(BadRequest, match=reason):
        convert(folder, tmp_path / "g", nothing)


def test_the_starter_gives_the_reference_s_vectors(minilm: Path, tmp_path: Path):
    convert(minilm, tmp_path / "model.gguf", nothing)
    reference = Reference(minilm)
    with loaded(tmp_path / "model.gguf", embeddings=True) as model:
        assert model.pooling == 1
        for text in TEXTS:
            ids = reference.tokens(text)
            assert model.embed(ids) @ reference.embed_tokens(ids) >= 0.999, text
