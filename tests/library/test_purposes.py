"""What a model is for, by its GGUF header."""

from __future__ import annotations

from typing import Any

import pytest

from puna.gguf import Metadata
from puna.library.purposes import embeds_unnormalized


@pytest.mark.parametrize(
    ("architecture", "values", "expected"),
    [
        ("bert", {"tokenizer.ggml.model": "bert"}, False),
        ("bert", {"tokenizer.ggml.model": "t5"}, True),
        ("bert", {"tokenizer.ggml.model": "bert", "bert.normalize_embeddings": False}, True),
        ("nomic-bert", {}, True),
        ("nomic-bert-moe", {"nomic-bert-moe.normalize_embeddings": True}, False),
        ("gemma-embedding", {}, False),
        ("qwen3", {}, False),
    ],
)
def test_whose_vectors_the_older_endpoint_leaves_as_they_are(
    architecture: str, values: dict[str, Any], expected: bool
):
    metadata = Metadata({"general.architecture": architecture, **values}, [], 0)
    assert embeds_unnormalized(metadata) is expected
