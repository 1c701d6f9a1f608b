"""Forged and damaged files in the form of Ollama's own converter are refused by name, or converted."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from puna.engine import ollama_gguf
from puna.engine.ollama_gguf import projector_edit, text_edit
from puna.engine.ollama_gguf.edited import EditedFile
from puna.errors import LoadFailed
from puna.gguf import GGUFFile
from tests.ollama_models import made

SOURCES = Path(ollama_gguf.__file__).parent
WORDS = {
    word
    for source in SOURCES.glob("*.py")
    for word in re.findall(r'"([\w.]+)"', source.read_text())
    if word.islower() or "." in word
}
ARCHITECTURES = sorted(
    {*ollama_gguf.PROJECTOR_INSIDE, "bert", "clip", "gemma3n", "glm4moelite", "gptoss"}
    | {"laguna", "lfm2", "llama", "nemotron_h_moe", "nemotron_h_omni", "olmo3", "qwen3next"}
)
"""All that the package knows."""

ENDS = st.sampled_from([".weight", ".bias", ""])
LEAVES = sorted(word.strip(".") for word in WORDS if word.strip("."))
PARTS = ["attn_q", "attn_k", "attn_v", "attn_qkv", "ffn_gate", "ffn_up", "ffn_gate_exps", "ffn_down_shexp"]
BLOCKS = ["blk.0", "v.blk.0", "a.blk.0", "mm", "v", "s", "mtp.layers.0", "mtp.layers.0.mlp.experts.0"]
NAMES = st.one_of(
    st.just("token_embd.weight"),
    st.builds("{}{}".format, st.sampled_from(LEAVES), ENDS),
    st.builds("{}.{}{}".format, st.sampled_from(BLOCKS), st.sampled_from(PARTS + LEAVES), ENDS),
)
SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 16]), min_size=1, max_size=4).map(tuple)
VALUES = st.one_of(
    st.sampled_from([0, 1, 2, 16, (1 << 32) - 1]),
    st.lists(st.integers(0, (1 << 31) - 1), min_size=1, max_size=4),
    st.just("default"),
)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, ...]], dict[str, Any]]:
    architecture = draw(st.sampled_from(ARCHITECTURES))
    keys = st.one_of(
        st.sampled_from(
            ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.eos_token_ids"]
        ),
        st.sampled_from(sorted(WORDS)).map(lambda word: f"{architecture}.{word.strip('.')}"),
        st.sampled_from(sorted(WORDS)).map(lambda word: f"{architecture}.vision.{word.strip('.')}"),
    )
    tensors = draw(
        st.dictionaries(NAMES.filter(lambda name: len(name) < 64), SHAPES, min_size=1, max_size=12)
    )
    values = draw(st.dictionaries(keys, VALUES, max_size=12))
    for key in ("block_count", "vision.block_count", "vision.patch_size"):
        values[f"{architecture}.{key}"] = draw(st.sampled_from([1, 2, (1 << 32) - 1]))
    return architecture, tensors, values


MOST = (1 << 32) - 1
RANKS = {"glm4moelite.attention.kv_lora_rank": MOST, "glm4moelite.rope.dimension_count": MOST}


@example(forged=("glm4moelite", {"output_norm.weight": (4,)}, RANKS))
@example(forged=("qwen35", {"mtp.fc.weight": (4, 4), "blk.0.ssm_dt": (4,)}, {"qwen35.block_count": MOST}))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forged=files())
def test_a_forged_file_is_converted_or_refused(
    forged: tuple[str, dict[str, Any], dict[str, Any]], tmp_path: Path
):
    path = made(tmp_path / "forged.gguf", *forged)
    with GGUFFile(path) as file:
        for form in (text_edit, lambda file: text_edit(file, mtp=True), projector_edit):
            with suppress(LoadFailed):
                edit = form(file)
                if edit:
                    EditedFile(file, edit).write(io.BytesIO())
