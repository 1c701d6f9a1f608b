"""GGUF files as Ollama's own converter writes them, made of those that libllama reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, PoolingType

from puna.engine.ollama_gguf.projectors import renamed
from tests.model_parts import F32, Shape, Weights, add_decoder, byte_vocabulary, finish, model_writer

Renamed = Callable[[str], str]
Stored = dict[str, tuple[Any, GGMLQuantizationType]]
"""Tensors by their names: data as in the file, and its type."""


def rewritten(
    sources: list[Path],
    target: Path,
    architecture: str,
    *,
    key: Renamed = str,
    tensor: Renamed = str,
    repacked: Callable[[Stored], Stored] | None = None,
    without: tuple[str, ...] = (),
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Write the tensors of all `sources` and the metadata of the first into `target`.

    `key` and `tensor` give the new names, `repacked` other tensors; `without` names keys, as they are in the
    source, that are left out; `more` are values that only the target has.
    """
    writer = GGUFWriter(target, architecture)
    for field in GGUFReader(sources[0]).fields.values():
        if field.name.startswith("GGUF.") or field.name in (*without, "general.architecture"):
            continue
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(key(field.name), field.contents(), field.types[0], inner)
    for name, value in (more or {}).items():
        if isinstance(value, list):
            writer.add_array(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        else:
            kinds = {bool: GGUFValueType.BOOL, float: GGUFValueType.FLOAT32}
            writer.add_key_value(name, value, kinds.get(type(value), GGUFValueType.UINT32))
    tensors: Stored = {}
    for source in sources:
        for found in GGUFReader(source).tensors:
            # Where libmtmd wants F32, Ollama's converter has F16.
            if found.name in ("v.patch_embd.weight", "v.patch_embd.weight.1", "v.position_embd.weight"):
                tensors[tensor(found.name)] = found.data.astype(np.float16), GGMLQuantizationType.F16
            else:
                tensors[tensor(found.name)] = found.data, found.tensor_type
    for name, (values, kind) in (repacked(tensors) if repacked else tensors).items():
        writer.add_tensor(name, np.ascontiguousarray(values), raw_dtype=kind)
    finish(writer)
    return target


def assert_same(made: Path, wanted: Path) -> None:
    """The two files have the same metadata, and the same numbers in tensors of the same names and shapes."""
    values = [
        {field.name: field.contents() for field in GGUFReader(path).fields.values()}
        for path in (made, wanted)
    ]
    assert values[0] == values[1]
    assert_same_tensors(made, wanted)


def assert_same_tensors(made: Path | str, wanted: Path) -> None:
    """The two files have the same numbers in tensors of the same names and shapes."""
    one, other = (
        {tensor.name: tensor.data for tensor in GGUFReader(path).tensors} for path in (made, wanted)
    )
    assert one.keys() == other.keys()
    for name in other:
        np.testing.assert_array_equal(one[name], other[name], name)


def projector_renamed(parts: Mapping[str, str]) -> Renamed:
    """Replaces `parts` of the names of a projector's tensors, one after another."""

    def named(name: str) -> str:
        return renamed(name, parts) if name.startswith(("v.", "mm.")) else name

    return named


def vision_sizes(projector: Path, architecture: str, *more: str) -> dict[str, Any]:
    """The sizes of a projector's encoder, under Ollama's keys for `architecture`."""
    sizes = ("block_count", "embedding_length", "feed_forward_length", "image_size", "patch_size")
    fields = GGUFReader(projector).fields
    return {
        f"{architecture}.vision.{size}": fields[f"clip.vision.{size}"].contents()
        for size in (*sizes, "attention.head_count", *more)
    }


def made(
    path: Path, architecture: str, tensors: Mapping[str, tuple[int, ...]], values: Mapping[str, Any]
) -> Path:
    """A file with nothing but `tensors`, of these shapes in numpy's order, and `values`."""
    writer = GGUFWriter(path, architecture)
    for key, value in values.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_uint32(key, value)
    random = np.random.default_rng(1)
    for name, shape in tensors.items():
        writer.add_tensor(name, random.standard_normal(shape).astype(np.float32))
    finish(writer)
    return path


_GEMMA3 = {
    "v.patch_embd.": "v.patch_embedding.",
    "v.position_embd.": "v.position_embedding.",
    "v.post_ln.": "v.post_layernorm.",
    "mm.input_projection.": "mm.mm_input_projection.",
    "mm.soft_emb_norm.": "mm.mm_soft_emb_norm.",
    ".ln1.": ".layer_norm1.",
    ".ln2.": ".layer_norm2.",
    ".attn_out.": ".attn_output.",
    ".ffn_up.": ".mlp.fc1.",
    ".ffn_down.": ".mlp.fc2.",
}


def gemma3(model: Path, projector: Path, target: Path) -> Path:
    """A Gemma 3 with its projector inside."""

    vision = vision_sizes(projector, "gemma3", "attention.layer_norm_epsilon")
    return rewritten(
        [model, projector],
        target,
        "gemma3",
        key=lambda name: name.replace("rope.freq_base_swa", "rope.local.freq_base"),
        tensor=projector_renamed(_GEMMA3),
        without=("gemma3.attention.layer_norm_rms_epsilon",),
        more={**vision, "gemma3.mm.tokens_per_image": 16},
    )


def embeddinggemma(model: Path, target: Path) -> Path:
    """A Gemma 3 with two dense layers behind it."""
    names = {"dense_2.": "dense.0.", "dense_3.": "dense.1."}
    return rewritten(
        [model],
        target,
        "gemma3",
        key=lambda name: name.replace("gemma-embedding.", "gemma3."),
        tensor=lambda name: names.get(name.removesuffix("weight"), name.removesuffix("weight")) + "weight",
        without=tuple(f"gemma-embedding.dense_{n}_feat_{end}" for n in (2, 3) for end in ("in", "out")),
    )


def gemma_embedding(path: Path) -> None:
    """Write a random `gemma-embedding` as libllama wants it."""
    of = Shape(layers=6)  # every sixth layer attends to all
    width = of.width
    writer = model_writer(path, "gemma-embedding", "x", byte_vocabulary(of.vocab), None, 256)
    add_decoder(writer, of)
    writer.add_sliding_window(64)
    writer.add_pooling_type(PoolingType.MEAN)
    for key, value in (("2_feat_in", width), ("2_feat_out", 2 * width), ("3_feat_in", 2 * width)):
        writer.add_uint32(f"gemma-embedding.dense_{key}", value)
    writer.add_uint32("gemma-embedding.dense_3_feat_out", width)
    weights = Weights(writer, 0, F32)
    weights.matrix("token_embd", of.vocab, width)
    weights.norm("output_norm", width)
    for block in weights.blocks(of):
        for norm in ("attn_q_norm", "attn_k_norm"):
            weights.norm(f"{block}.{norm}", of.head)
        for norm in ("post_attention_norm", "post_ffw_norm"):
            weights.norm(f"{block}.{norm}", width)
    weights.matrix("dense_2", 2 * width, width)
    weights.matrix("dense_3", width, 2 * width)
    finish(writer)


def olmo2_model(path: Path) -> None:
    """Write a random `olmo2` as libllama wants it."""
    of = Shape()
    writer = model_writer(path, "olmo2", "x", byte_vocabulary(of.vocab), None, 256)
    add_decoder(writer, of)
    weights = Weights(writer, 0, F32)
    weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    for block in of.blocks:
        for part, rows in (("attn_q", of.width), ("attn_k", of.head), ("attn_v", of.head)):
            weights.matrix(f"{block}.{part}", rows, of.width)
        weights.matrix(f"{block}.attn_output", of.width, of.width)
        weights.norm(f"{block}.attn_q_norm", of.width)
        weights.norm(f"{block}.attn_k_norm", of.head)
        for norm in ("post_attention_norm", "post_ffw_norm"):
            weights.norm(f"{block}.{norm}", of.width)
        for part, rows, columns in (
            ("gate", of.ffn, of.width),
            ("up", of.ffn, of.width),
            ("down", of.width, of.ffn),
        ):
            weights.matrix(f"{block}.ffn_{part}", rows, columns)
    finish(writer)


def gptoss(model: Path, target: Path) -> Path:
    """A GPT-OSS from before libllama had a name for it."""
    names = {
        "attn_output.": "attn_out.",
        "attn_sinks.weight": "attn_sinks",
        "post_attention_norm.": "ffn_norm.",
    }

    def named(name: str) -> str:
        for part, other in names.items():
            name = name.replace(part, other)
        return name

    return rewritten(
        [model],
        target,
        "gptoss",
        key=lambda name: name.replace("gpt-oss.", "gptoss."),
        tensor=named,
        without=("gpt-oss.expert_feed_forward_length", "gpt-oss.rope.scaling.type"),
    )
