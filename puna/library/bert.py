"""A BERT sentence encoder in safetensors form, written as a GGUF file of architecture "bert".

Names of tensors and metadata: the gguf package's constants (MODEL_ARCH.BERT); spelling of tokens: llama.cpp's
WPM vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from puna.library.f16 import MOSTLY_F16
from puna.library.safetensors import open_tensors
from puna.types import PunaError

_NORMAL, _CONTROL = 1, 3  # token types (llama.h, llama_token_type)
_MEAN, _CLS = 1, 2  # llama_pooling_type
_ALIGNMENT = 32  # bytes; GGUF's default
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_CONFIG = (
    "num_hidden_layers",
    "max_position_embeddings",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "layer_norm_eps",
    "type_vocab_size",
)
_MODEL_TENSORS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_LAYER_TENSORS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# llama.cpp adds these to activations and keeps them F32 whatever the file's type is.
_ALWAYS_F32 = ("position_embd.weight", "token_types.weight")


FILES = ("model.safetensors", "config.json", "vocab.txt", "1_Pooling/config.json")
"""What a model's folder must hold."""


def convert(folder: Path, target: Path, about: dict[str, str], on_bytes: Callable[[int, int], None]) -> None:
    """Write the model whose FILES are in `folder` to `target`.

    `about` holds `general.…` strings such as name and license; `on_bytes(done, total)` counts tensor bytes
    written, and an error raised in it stops the work. Raises PunaError when the files do not fit together.
    """
    import numpy as np
    from gguf import GGUFWriter

    config, pooling = _json(folder / "config.json"), _json(folder / "1_Pooling" / "config.json")
    lacking = [key for key in _CONFIG if key not in config]
    if lacking:
        raise PunaError(f"config.json has no {lacking[0]}")
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    weights = open_tensors(folder / "model.safetensors")
    names = tensor_names(int(config["num_hidden_layers"]))
    missing = [name for name in names if name not in weights]
    if missing:
        raise PunaError(f"model.safetensors has no tensor {missing[0]}")
    if len(weights["embeddings.word_embeddings.weight"]) != len(tokens):
        raise PunaError("vocab.txt and model.safetensors have different numbers of tokens")

    plan = {gguf_name: (weights[name], np.dtype(_kind(gguf_name))) for name, gguf_name in names.items()}
    writer = GGUFWriter(target, "bert")
    try:
        writer.add_type("model")
        for key, text in about.items():
            writer.add_string(f"general.{key}", text)
        _add_metadata(writer, config, pooling)
        _add_tokens(writer, tokens, int(config["type_vocab_size"]))
        for gguf_name, (tensor, dtype) in plan.items():
            writer.add_tensor_info(gguf_name, tensor.shape, dtype, tensor.size * dtype.itemsize)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()
    done, total = 0, sum(tensor.size * dtype.itemsize for tensor, dtype in plan.values())
    with target.open("ab") as out:
        for tensor, dtype in plan.values():
            # Cast one at a time: the largest, the token embedding, is 23 MB.
            out.write(bytes(-out.tell() % _ALIGNMENT))
            done += out.write(tensor.astype(dtype).tobytes())
            on_bytes(done, total)
        out.write(bytes(-out.tell() % _ALIGNMENT))


def tensor_names(layers: int) -> dict[str, str]:
    """The GGUF name of each tensor that is converted; the pooler and position numbers are not needed."""
    names = dict(_MODEL_TENSORS)
    for layer in range(layers):
        for name, gguf_name in _LAYER_TENSORS.items():
            for part in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{name}.{part}"] = f"blk.{layer}.{gguf_name}.{part}"
    return names


def _kind(name: str) -> str:
    matrix = name.endswith(".weight") and not name.endswith("norm.weight")
    return "<f2" if matrix and name not in _ALWAYS_F32 else "<f4"


def spelled(token: str) -> str:
    """A WordPiece token as llama.cpp spells it: a word begins with "▁", a continuation is bare.

    >>> spelled("play"), spelled("##ing"), spelled("[CLS]")
    ('▁play', 'ing', '[CLS]')
    """
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else "▁" + token


def _add_metadata(writer: Any, config: dict[str, Any], pooling: dict[str, Any]) -> None:
    writer.add_file_type(MOSTLY_F16)
    writer.add_quantization_version(2)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    if pooling.get("pooling_mode_mean_tokens"):
        writer.add_uint32("bert.pooling_type", _MEAN)
    elif pooling.get("pooling_mode_cls_token"):
        writer.add_uint32("bert.pooling_type", _CLS)
    else:
        raise PunaError("the model pools its tokens neither by mean nor by the first token")


def _add_tokens(writer: Any, tokens: list[str], token_types: int) -> None:
    ids = {token: tokens.index(token) for token in _SPECIAL if token in tokens}
    if len(ids) < len(_SPECIAL):
        raise PunaError("vocab.txt lacks a special token of BERT")
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")  # llama.cpp's name for BERT's uncased English pre-tokenizer
    writer.add_token_list([spelled(token) for token in tokens])
    writer.add_token_types([_CONTROL if token in ids else _NORMAL for token in tokens])
    writer.add_token_type_count(token_types)
    writer.add_bos_token_id(ids["[CLS]"])
    writer.add_eos_token_id(ids["[SEP]"])
    writer.add_unk_token_id(ids["[UNK]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_pad_token_id(ids["[PAD]"])
    writer.add_mask_token_id(ids["[MASK]"])


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PunaError(f"cannot read {path.name}: {error}") from None
    if not isinstance(value, dict):
        raise PunaError(f"cannot read {path.name}: not an object")
    return value
