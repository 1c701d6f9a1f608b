"""A small random Mistral 3 that sees, as libllama reads it and as Ollama's own converter writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, TokenType, quants

from tests.model_parts import F32, Shape, Weights, add_decoder, byte_vocabulary, finish, model_writer
from tests.ollama_models import Stored, projector_renamed, rewritten, vision_sizes

_OF = Shape()
_PATCH, _INNER, _FFN, _HEADS, _BLOCKS, _MERGED = 4, 64, 96, 2, 2, 2
_BREAK = 300
"""The token between the rows of a picture."""
_Q8 = GGMLQuantizationType.Q8_0


def mistral3(folder: Path) -> tuple[Path, Path]:
    """Write the model and its projector as libllama and libmtmd want them."""
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    vocabulary = byte_vocabulary(_OF.vocab)
    vocabulary[_BREAK] = (b"[IMG_BREAK]", TokenType.CONTROL)
    writer = model_writer(model, "mistral3", "x", vocabulary, None, 1024)
    add_decoder(writer, _OF)
    Weights(writer, 3, _Q8).matrix("token_embd", _OF.vocab, _OF.width)
    weights = Weights(writer, 0, F32)
    weights.norm("output_norm", _OF.width)
    weights.blocks(_OF)
    finish(writer)
    embeddings = {tensor.name: tensor.data for tensor in GGUFReader(model).tensors}["token_embd.weight"]
    _projector(projector, quants.dequantize(embeddings[_BREAK], _Q8))
    return model, projector


def _projector(path: Path, row_end: np.ndarray) -> None:
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("pixtral")
    writer.add_bool("clip.use_silu", True)
    writer.add_vision_image_size(64)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(_OF.width)
    writer.add_vision_block_count(_BLOCKS)
    writer.add_vision_head_count(_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_spatial_merge_size(_MERGED)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    kernel = np.random.default_rng(1).standard_normal((_INNER, 3, _PATCH, _PATCH)) / (_PATCH * 3**0.5)
    writer.add_tensor("v.patch_embd.weight", kernel.astype(np.float16).astype(np.float32))
    writer.add_tensor("v.token_embd.img_break", row_end)
    weights = Weights(writer, 1, F32)
    halves = np.random.default_rng(2)
    weights.norm("v.pre_ln", _INNER)
    for block in (f"v.blk.{number}" for number in range(_BLOCKS)):
        weights.norm(f"{block}.ln1", _INNER)
        weights.norm(f"{block}.ln2", _INNER, scale=0.5)
        for part in ("attn_q", "attn_k"):
            values = halves.standard_normal((_INNER, _INNER)) * 2 / _INNER**0.5
            writer.add_tensor(f"{block}.{part}.weight", values.astype(np.float16))
        for part in ("attn_v", "attn_out"):
            weights.matrix(f"{block}.{part}", _INNER, _INNER)
        weights.matrix(f"{block}.ffn_gate", _FFN, _INNER)
        weights.matrix(f"{block}.ffn_up", _FFN, _INNER)
        weights.matrix(f"{block}.ffn_down", _INNER, _FFN)
    weights.norm("mm.input_norm", _INNER, scale=2)
    weights.matrix("mm.patch_merger", _INNER, _MERGED**2 * _INNER)
    weights.matrix("mm.1", _OF.width, _INNER)
    weights.matrix("mm.2", _OF.width, _OF.width)
    finish(writer)


_NAMES = {
    "v.patch_embd.": "v.patch_conv.",
    "v.pre_ln.": "v.encoder_norm.",
    ".attn_out.": ".attn_output.",
    ".ln1.": ".attn_norm.",
    ".ln2.": ".ffn_norm.",
    "mm.1.": "mm.linear_1.",
    "mm.2.": "mm.linear_2.",
    "mm.input_norm.": "mm.norm.",
    "mm.patch_merger.": "mm.patch_merger.merging_layer.",
}


def inside(model: Path, projector: Path, target: Path) -> Path:
    """Both in one file, with the rows of queries and keys as in the checkpoint."""

    def repacked(tensors: Stored) -> Stored:
        del tensors["v.token_embd.img_break"]
        for name, (values, kind) in tensors.items():
            if name.startswith("v.") and name.endswith((".attn_q.weight", ".attn_k.weight")):
                tensors[name] = _checkpoint_rows(values), kind
        return tensors

    more = vision_sizes(projector, "mistral3")
    more |= {"mistral3.spatial_merge_size": _MERGED, "mistral3.vision.rope.freq_base": 10000.0}
    return rewritten(
        [model, projector], target, "mistral3", tensor=projector_renamed(_NAMES), repacked=repacked, more=more
    )


def _checkpoint_rows(values: np.ndarray) -> np.ndarray:
    pairs = values.reshape(_HEADS, -1, 2, values.shape[1])
    return pairs.swapaxes(1, 2).reshape(values.shape)
