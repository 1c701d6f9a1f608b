"""Models under the names and values of Ollama's own converter are read as libllama's form of them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine.ollama_gguf import language_model
from puna.engine.ollama_gguf.edit import Derived, Edit, as_f32
from puna.engine.ollama_gguf.edited import EditedFile
from puna.gguf import GGUFFile, Metadata, read_metadata
from tests.engine.asking import ask, loaded
from tests.hybrid_models import mamba2_model
from tests.library.libllama import loaded as loaded_bare
from tests.models import hybrid_model, shape_model
from tests.mtp_models import random_mtp_model
from tests.ollama_models import made, olmo2_model, rewritten

TOKENS = [5, 9, 2, 40, 33]


def read(path: Path) -> Metadata:
    with language_model(str(path)) as readable:
        return read_metadata(Path(readable), verbose=True)


def lfm2(folder: Path) -> tuple[Path, Path]:
    new = folder / "new.gguf"
    hybrid_model(new)
    names = {"token_embd_norm.weight": "output_norm.weight"}
    old = rewritten(
        [new],
        folder / "old.gguf",
        "lfm2",
        tensor=lambda name: names.get(name, name),
        without=("lfm2.feed_forward_length",),
        more={"lfm2.feed_forward_length": 12288},
    )
    return new, old


def olmo3(folder: Path) -> tuple[Path, Path]:
    new = folder / "new.gguf"
    olmo2_model(new)
    return new, rewritten(
        [new], folder / "old.gguf", "olmo3", key=lambda key: key.replace("olmo2.", "olmo3.")
    )


def nemotron_h_moe(folder: Path) -> tuple[Path, Path]:
    new = folder / "new.gguf"
    mamba2_model(new, experts=2)
    extra = made(folder / "mtp.gguf", "x", {"mtp.layers.0.mixer.experts.1.up_proj.weight": (4, 4)}, {})
    return new, rewritten([new, extra], folder / "old.gguf", "nemotron_h_moe")


def glm4moelite(folder: Path) -> tuple[Path, Path]:
    new = folder / "new.gguf"
    random_mtp_model(new, family="deepseek2")
    header = read_metadata(new)
    head = header.arch("attention.key_length_mla")
    assert head == header.arch("attention.value_length_mla")
    changed = ("key_length", "value_length", "key_length_mla", "value_length_mla", "head_count_kv")
    more = {"key_length": head, "value_length": head, "head_count_kv": 20}
    old = rewritten(
        [new],
        folder / "old.gguf",
        "glm4moelite",
        key=lambda key: key.replace("deepseek2.", "glm4moelite."),
        without=tuple(f"deepseek2.attention.{key}" for key in changed),
        more={f"glm4moelite.attention.{key}": value for key, value in more.items()},
    )
    return new, old


@pytest.mark.parametrize("family", [lfm2, olmo3, nemotron_h_moe, glm4moelite])
def test_a_family_answers_as_in_libllamas_form(family: Callable[[Path], tuple[Path, Path]], tmp_path: Path):
    new, old = family(tmp_path)
    with loaded_bare(new) as bare:
        expected = bare.logits(TOKENS)
    with language_model(str(old)) as readable, loaded_bare(Path(readable)) as bare:
        assert np.array_equal(bare.logits(TOKENS), expected)


async def test_the_engine_reads_it_without_a_copy(tmp_path: Path):
    new, old = lfm2(tmp_path)
    answers: list[str] = []
    for path in (new, old):
        async with loaded(path, num_ctx=256) as engine:
            answers.append((await ask(engine, "Hello there", num_predict=20)).text)
    assert answers[0] == answers[1] != ""


@pytest.mark.parametrize("family", ["lfm2", "nemotron_h_moe"])
def test_a_file_in_libllamas_form_is_read_as_it_is(family: str, tmp_path: Path):
    path = tmp_path / "new.gguf"
    {"lfm2": hybrid_model, "nemotron_h_moe": partial(mamba2_model, experts=2)}[family](path)
    with language_model(str(path)) as readable:
        assert readable == str(path)


def test_experts_of_a_nemotron_in_a_latent_space(tmp_path: Path):
    tensors = {"blk.0.ffn_latent_in.weight": (3, 8), "blk.0.ffn_latent_out.weight": (8, 3)}
    header = read(made(tmp_path / "old.gguf", "nemotron_h_moe", tensors, {}))
    assert header.get("nemotron_h_moe.moe_latent_size") == 3
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    assert shapes == {"blk.0.ffn_latent_down.weight": (8, 3), "blk.0.ffn_latent_up.weight": (3, 8)}


def test_an_omni_nemotron_with_experts_in_a_latent_space(tmp_path: Path):
    """Ollama's layer reads it as a Nemotron 3 (llama/compat, handle_nemotron_h_omni)."""
    tensors = {"blk.0.ffn_latent_in.weight": (3, 8), "blk.0.ffn_latent_out.weight": (8, 3)}
    values = {"nemotron_h_omni.expert_count": 2}
    header = read(made(tmp_path / "old.gguf", "nemotron_h_omni", tensors, values))
    assert header.get("nemotron_h_moe.moe_latent_size") == 3
    assert [tensor.name for tensor in header.tensors] == [
        "blk.0.ffn_latent_down.weight",
        "blk.0.ffn_latent_up.weight",
    ]


def test_a_qwen_3_next(tmp_path: Path):
    values = {"qwen3next.attention.head_count_kv": [0, 0, 0, 2]}
    header = read(
        made(tmp_path / "old.gguf", "qwen3next", {"blk.0.ssm_dt": (4,), "blk.0.ssm_a": (4,)}, values)
    )
    assert [tensor.name for tensor in header.tensors] == ["blk.0.ssm_dt.bias", "blk.0.ssm_a"]
    assert header.get("qwen3next.attention.head_count_kv") == 2


def test_a_laguna(tmp_path: Path):
    values = {"laguna.rope.swa.dimension_count": 16}
    header = read(made(tmp_path / "old.gguf", "laguna", {"blk.0.attn_g.weight": (4, 4)}, values))
    assert header.get("laguna.rope.dimension_count_swa") == 16
    assert [tensor.name for tensor in header.tensors] == ["blk.0.attn_gate.weight"]


LLAMA_3 = [f"t{number}" for number in range(128_256)]
LLAMA_3[128_006], LLAMA_3[128_009] = "<|start_header_id|>", "<|eot_id|>"


@pytest.mark.parametrize(("pre", "end"), [("", 128_001), ("llama-bpe", 128_001), ("", 128_009)])
def test_a_llama_3_that_lacks_its_pretokenizer_or_its_end(pre: str, end: int, tmp_path: Path):
    values = {"tokenizer.ggml.tokens": LLAMA_3, "tokenizer.ggml.eos_token_id": end}
    values |= {"tokenizer.ggml.pre": pre} if pre else {}
    header = read(made(tmp_path / "old.gguf", "llama", {"output_norm.weight": (4,)}, values))
    assert header.get("tokenizer.ggml.pre") == "llama-bpe"
    assert header.get("tokenizer.ggml.eos_token_id") == header.get("tokenizer.ggml.eot_token_id") == 128_009


def test_other_llamas_keep_their_ends(tmp_path: Path):
    plain = LLAMA_3.copy()
    plain[128_009] = "another"
    for name, tokens in {"plain": plain, "short": LLAMA_3[:1000]}.items():
        values = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.eos_token_id": 128_001}
        path = made(tmp_path / name, "llama", {"output_norm.weight": (4,)}, values)
        with language_model(str(path)) as readable:
            assert readable == str(path)


def test_a_gemma_3n_loses_the_tokens_of_its_encoders(tmp_path: Path):
    tokens = ["<pad>", "<eos>", "<0x0A>", "<unused1>", "word", "<image>"]
    values = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3, 3, 1, 4, 1, 3]}
    tensors = {
        "token_embd.weight": (6, 4),
        "per_layer_token_embd.weight": (5, 8),
        "v.blk.0.attn_q.weight": (2, 2),
    }
    old = made(tmp_path / "old.gguf", "gemma3n", tensors, values)
    header = read(old)
    assert header.get("tokenizer.ggml.tokens") == tokens[:5]
    assert header.get("tokenizer.ggml.token_type") == [3, 3, 6, 1, 1]
    assert header.get("tokenizer.ggml.eos_token_ids") == [1, 106]
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("token_embd.weight", (4, 5)),
        ("per_layer_token_embd.weight", (8, 5)),
    ]
    with language_model(str(old)) as readable, GGUFFile(old) as before, GGUFFile(Path(readable)) as after:
        rows = b"".join(before.data(before.tensors["token_embd.weight"]))
        assert b"".join(after.data(after.tensors["token_embd.weight"])) == rows[: 5 * 4 * 4]


def test_an_arctic_embed_2_with_its_table_in_base64(tmp_path: Path):
    table = bytes(range(200))
    values = {"tokenizer.ggml.precompiled_charsmap": list(base64.b64encode(table).decode())}
    header = read(made(tmp_path / "old.gguf", "bert", {"token_embd.weight": (4, 4)}, values))
    assert bytes(header.get("tokenizer.ggml.precompiled_charsmap")) == table


async def test_further_end_tokens_of_a_file_end_an_answer(tmp_path: Path):
    shape_model(tmp_path / "plain.gguf")
    path = tmp_path / "ends.gguf"
    every = {"tokenizer.ggml.eos_token_ids": list(range(512))}
    rewritten([tmp_path / "plain.gguf"], path, "llama", more=every)
    async with loaded(path, num_ctx=256) as engine:
        answer = await ask(engine, "Hello", num_predict=5)
    assert (answer.text, answer.finish.reason) == ("", "stop")


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> tuple[EditedFile, bytes]:
    folder = tmp_path_factory.mktemp("edited")
    path = made(folder / "old.gguf", "x", {"a": (3, 5), "b": (3, 5), "c": (7,)}, {"x.y": 3})
    file = GGUFFile(path)
    joined = Derived(("a", "b"), (5, 6))
    edit = Edit(
        {
            "c": "c",
            "ab": joined,
            "twice": Derived(("a",), (5, 3), lambda a: 2 * a),
            "b": as_f32(file, "b"),
        }
    )
    result = EditedFile(file, edit)
    with (folder / "new.gguf").open("wb") as out:
        result.write(out)
    return result, (folder / "new.gguf").read_bytes()


@given(data=st.data())
def test_what_is_read_is_what_would_be_written(edited: tuple[EditedFile, bytes], data: st.DataObject):
    file, expected = edited
    assert file.size == len(expected)
    at, size = data.draw(st.integers(0, file.size)), data.draw(st.integers(1, file.size))
    buffer, found = bytearray(size), b""
    while len(found) < size and (count := file.read_into(memoryview(buffer), at + len(found))):
        found += buffer[:count]
    assert found[:size] == expected[at : at + size]


def test_joined_and_computed_tensors(edited: tuple[EditedFile, bytes], tmp_path: Path):
    (tmp_path / "new.gguf").write_bytes(edited[1])
    with GGUFFile(tmp_path / "new.gguf") as file:
        values = {name: b"".join(file.data(tensor)) for name, tensor in file.tensors.items()}
    a = np.frombuffer(values["ab"], np.float32)[:15]
    assert values["ab"][60:] == values["b"]
    assert np.array_equal(np.frombuffer(values["twice"], np.float32), 2 * a)
