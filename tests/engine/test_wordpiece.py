"""BERT's tokenizer against the reference implementation, and vectors through the engine in every script."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.normalizers import NFD, BertNormalizer, Lowercase, Sequence, StripAccents

from puna.engine.libllama import LlamaModel
from puna.engine.wordpiece import WordPiece
from puna.library import Library
from puna.library.convert import convert
from puna.library.convert.vocabulary.wordpiece import llama_spelling
from tests.engine.asking import loaded
from tests.library.bert_reference import Reference
from tests.library.convert.test_sentence_encoders import VOCABULARY, tokenizer, write_model
from tests.texts import TEXTS

UNKNOWN = 100
# The reference's tables are older than Python's: only characters that both have always seen alike.
CHARACTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=("C",)).filter(
    lambda c: unicodedata.ucd_3_2_0.category(c) == unicodedata.category(c)
)


@pytest.fixture(scope="module")
def reference(minilm: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@pytest.fixture(scope="module")
def ours(minilm: Path) -> WordPiece:
    lines = (minilm / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    return WordPiece([llama_spelling(line) for line in lines], UNKNOWN)


@pytest.mark.parametrize("text", [*TEXTS, "a [MASK] b[SEP]c", "[UNK]", "[masked]", "a" * 101])
def test_tokens_are_the_reference_s(ours: WordPiece, reference: Tokenizer, text: str) -> None:
    assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids


@given(text=st.text(CHARACTERS, max_size=30))
@settings(deadline=None)
def test_any_text_gives_the_reference_s_tokens(ours: WordPiece, reference: Tokenizer, text: str) -> None:
    assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids


NORMALIZERS = {
    "uncased": BertNormalizer(),
    "cased": BertNormalizer(lowercase=False),
    "capitals count, accents do not": BertNormalizer(lowercase=False, strip_accents=True),
    "accents count, capitals do not": BertNormalizer(lowercase=True, strip_accents=False),
    "Chinese words": BertNormalizer(handle_chinese_chars=False),
    "nothing cleaned": BertNormalizer(clean_text=False),
    "in steps": Sequence([NFD(), Lowercase(), StripAccents()]),
}
NORMALIZED = (
    "Élan VITAL, naïve ÉCOLE école",
    "人工智能 and 猫 cat猫",
    "ΟΔΟΣ Οδός İstanbul ẞ",
    "a\u200bb\tc\u00a0d\ufffde",
    "안녕 नमस्ते Ångström",
)


@pytest.mark.parametrize("kind", NORMALIZERS)
def test_a_model_s_own_normalizer_is_followed(tmp_path: Path, kind: str) -> None:
    """From tokenizer.json through the converted file to the tokens of the engine."""
    letters = sorted({c for text in NORMALIZED for form in ("NFC", "NFD") for c in normalize(form, text)})
    letters = sorted({form for c in letters for form in (c, *c.lower(), *c.upper())} - {" "})
    vocabulary = [*VOCABULARY[:5], *letters, *(f"##{letter}" for letter in letters)]
    folder = write_model(tmp_path / "model", vocabulary=vocabulary)
    reference = tokenizer(folder, vocabulary, NORMALIZERS[kind])
    convert(folder, tmp_path / "model.gguf", lambda done, total: None)
    model = LlamaModel(str(tmp_path / "model.gguf"))
    try:
        for text in NORMALIZED:
            expected = reference.encode(text, add_special_tokens=False).ids
            assert model.tokenize(text, add_special=False) == expected, text
    finally:
        model.close()


@pytest.mark.parametrize("capital", [True, False])
def test_where_nothing_is_said_the_vocabulary_tells_whether_capitals_count(capital: bool) -> None:
    ours = WordPiece(["[UNK]", "▁the", "▁The" if capital else "▁a"], 0)
    assert ours.encode("the The") == [1, 2 if capital else 1]


async def test_vectors_agree_with_the_reference_in_every_script(starters: Path, minilm: Path) -> None:
    reference = Reference(minilm)
    weights = Library(starters).open("all-minilm:22m").weights
    async with loaded(weights, num_ctx=512, embedding=True) as engine:
        found = await engine.embed(TEXTS, truncate=False)
        for text, vector in zip(TEXTS, found.vectors, strict=True):
            assert vector @ reference.embed_tokens(reference.tokens(text)) >= 0.999, text
