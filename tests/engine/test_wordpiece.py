"""BERT's tokenizer against the reference implementation, and vectors through the engine in every script."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from puna.engine.wordpiece import WordPiece, words
from puna.library import Library
from puna.library.convert.vocabulary.wordpiece import spelled
from tests.engine.asking import loaded
from tests.library.bert_reference import Reference
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
    return WordPiece([spelled(line) for line in lines], UNKNOWN)


@pytest.mark.parametrize("text", [*TEXTS, "a [MASK] b[SEP]c", "[UNK]", "[masked]", "a" * 101])
def test_tokens_are_the_reference_s(ours: WordPiece, reference: Tokenizer, text: str) -> None:
    assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids


@given(text=st.text(CHARACTERS, max_size=30))
@settings(deadline=None)
def test_any_text_gives_the_reference_s_tokens(ours: WordPiece, reference: Tokenizer, text: str) -> None:
    assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids


def test_capitals_and_accents_stay_for_a_model_that_knows_them() -> None:
    assert words("Élan vital", cased=True) == ["Élan", "vital"]
    assert words("Élan vital", cased=False) == ["elan", "vital"]


async def test_vectors_agree_with_the_reference_in_every_script(starters: Path, minilm: Path) -> None:
    reference = Reference(minilm)
    weights = Library(starters).open("all-minilm:22m").weights
    async with loaded(weights, num_ctx=512, embedding=True) as engine:
        found = await engine.embed(TEXTS, truncate=False)
        for text, vector in zip(TEXTS, found.vectors, strict=True):
            assert vector @ reference.embed_tokens(reference.tokens(text)) >= 0.999, text
