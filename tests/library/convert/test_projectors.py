"""Vision parts: libmtmd sees in a picture what the reference sees."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest
from llama_cpp import mtmd_cpp

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library.convert import convert, convert_projector
from tests.library.convert.checkpoints import BASE, WIDTH, Maker, decoder, rounded, write_checkpoint
from tests.library.convert.test_families import CASES, make, nothing
from tests.library.convert.tokenizers_made import byte_level, sentencepiece
from tests.library.convert.vision_reference import Gemma3, Qwen3VL
from tests.library.libllama import loaded

Array = np.ndarray[Any, Any]

SIGLIP: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "image_size": 112,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
}
QWEN: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_heads": 2,
    "depth": 3,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0, 1],
    "out_hidden_size": WIDTH,
}


def biased(made: Maker, name: str, rows: int, columns: int) -> None:
    made.matrix(f"{name}.weight", rows, columns)
    made.bias(f"{name}.bias", rows)


def biased_norm(made: Maker, name: str, size: int) -> None:
    made.norm(f"{name}.weight", size)
    made.bias(f"{name}.bias", size)


def siglip() -> Maker:
    made, base = Maker(11), "vision_tower.vision_model."
    width, inner, patch = SIGLIP["hidden_size"], SIGLIP["intermediate_size"], SIGLIP["patch_size"]
    made.matrix(f"{base}embeddings.patch_embedding.weight", width, 3, patch, patch, inputs=3 * patch**2)
    made.bias(f"{base}embeddings.patch_embedding.bias", width)
    made.matrix(f"{base}embeddings.position_embedding.weight", 64, width, inputs=4)
    for layer in range(2):
        at = f"{base}encoder.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            biased(made, f"{at}self_attn.{name}", width, width)
        biased(made, f"{at}mlp.fc1", inner, width)
        biased(made, f"{at}mlp.fc2", width, inner)
        biased_norm(made, f"{at}layer_norm1", width)
        biased_norm(made, f"{at}layer_norm2", width)
    biased_norm(made, f"{base}post_layernorm", width)
    made.norm("multi_modal_projector.mm_soft_emb_norm.weight", width, 0.0)
    made.matrix("multi_modal_projector.mm_input_projection_weight", width, WIDTH, inputs=width)
    return made


def qwen() -> Maker:
    made, base = Maker(12), "model.visual."
    width, inner, patch = QWEN["hidden_size"], QWEN["intermediate_size"], QWEN["patch_size"]
    made.matrix(f"{base}patch_embed.proj.weight", width, 3, 2, patch, patch, inputs=6 * patch**2)
    made.bias(f"{base}patch_embed.proj.bias", width)
    made.matrix(f"{base}pos_embed.weight", 64, width, inputs=4)
    for layer in range(QWEN["depth"]):
        at = f"{base}blocks.{layer}."
        biased(made, f"{at}attn.qkv", 3 * width, width)
        biased(made, f"{at}attn.proj", width, width)
        biased(made, f"{at}mlp.linear_fc1", inner, width)
        biased(made, f"{at}mlp.linear_fc2", width, inner)
        biased_norm(made, f"{at}norm1", width)
        biased_norm(made, f"{at}norm2", width)
    biased_norm(made, f"{base}merger.norm", width)
    for at in (f"{base}merger.", *(f"{base}deepstack_merger_list.{number}." for number in range(2))):
        biased(made, f"{at}linear_fc1", 4 * width, 4 * width)
        biased(made, f"{at}linear_fc2", WIDTH, 4 * width)
        if "deepstack" in at:
            biased_norm(made, f"{at}norm", 4 * width)
    return made


def gemma3_folder(folder: Path) -> Gemma3:
    case = CASES["gemma3-seeing"]
    text = {**BASE, "model_type": case.kind, **case.config}
    weights = case.weights(text) | siglip().weights
    config = {
        "architectures": [case.architecture],
        "text_config": text,
        "vision_config": SIGLIP,
        "mm_tokens_per_image": 16,
    }
    write_checkpoint(folder, config, weights, "F16")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    )
    sentencepiece(folder)
    return Gemma3(SIGLIP, {name: rounded(values, "F16") for name, values in weights.items()})


def qwen3vl_folder(folder: Path) -> Qwen3VL:
    case = CASES["qwen3vl"]
    text = {**BASE, "model_type": case.kind, "rms_norm_eps": 1e-6, **case.config}
    weights = decoder(text, head_norms=True, prefix="model.language_model.") | qwen().weights
    config = {"architectures": [case.architecture], "text_config": text, "vision_config": QWEN}
    write_checkpoint(folder, config, weights, "F16", shards=2)
    byte_level(folder)
    return Qwen3VL(QWEN, {name: rounded(values, "F16") for name, values in weights.items()})


def seen(model: Any, projector: Path, pixels: Array, width: int) -> Array:
    """libmtmd's vectors for a picture."""
    parameters = mtmd_cpp.mtmd_context_params_default()
    parameters.use_gpu, parameters.warmup, parameters.n_threads = False, False, 1
    parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = mtmd_cpp.mtmd_init_from_file(str(projector).encode(), model, parameters)
    assert context, "libmtmd does not load the projector"
    raw = pixels.astype(np.uint8).tobytes()
    bitmap = mtmd_cpp.mtmd_bitmap_init(
        pixels.shape[1], pixels.shape[0], (ctypes.c_uint8 * len(raw)).from_buffer_copy(raw)
    )
    chunks = mtmd_cpp.mtmd_input_chunks_init()
    assert bitmap is not None
    assert chunks is not None
    text = mtmd_cpp.mtmd_input_text()
    text.text, text.add_special, text.parse_special = mtmd_cpp.mtmd_default_marker(), False, True
    if hasattr(text, "text_len"):
        text.text_len = len(mtmd_cpp.mtmd_default_marker())
    bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * 1)(bitmap)
    assert mtmd_cpp.mtmd_tokenize(context, chunks, ctypes.byref(text), bitmaps, 1) == 0  # pyright: ignore[reportArgumentType]
    for at in range(mtmd_cpp.mtmd_input_chunks_size(chunks)):
        chunk = mtmd_cpp.mtmd_input_chunks_get(chunks, at)
        assert chunk is not None
        if mtmd_cpp.mtmd_input_chunk_get_type(chunk) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_IMAGE:
            assert mtmd_cpp.mtmd_encode_chunk(context, chunk) == 0
            count = mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk)
            found = mtmd_cpp.mtmd_get_output_embd(context)
            assert found is not None
            vectors = np.array(found[: count * width]).reshape(count, width)
            mtmd_cpp.mtmd_input_chunks_free(chunks)
            mtmd_cpp.mtmd_bitmap_free(bitmap)
            mtmd_cpp.mtmd_free(context)
            return vectors
    raise AssertionError("the picture was lost")


def picture(side: int) -> Array:
    return np.random.default_rng(5).integers(0, 256, (side, side, 3))


def test_gemma_3_sees_what_the_reference_sees(tmp_path: Path):
    reference = gemma3_folder(tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", nothing)
    assert convert_projector(tmp_path, tmp_path / "projector.gguf", nothing)
    pixels = picture(SIGLIP["image_size"])
    expected = reference.see(pixels, 16)
    with loaded(tmp_path / "model.gguf") as model:
        found = seen(model.handle, tmp_path / "projector.gguf", pixels, WIDTH)
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()


def test_qwen_3_vl_sees_what_the_reference_sees(tmp_path: Path):
    reference = qwen3vl_folder(tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", nothing)
    assert convert_projector(tmp_path, tmp_path / "projector.gguf", nothing)
    pixels = picture(8 * QWEN["patch_size"])
    expected = reference.see(pixels)
    with loaded(tmp_path / "model.gguf") as model:
        found = seen(model.handle, tmp_path / "projector.gguf", pixels, 3 * WIDTH)
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()


def test_a_projector_says_what_it_is(tmp_path: Path):
    qwen3vl_folder(tmp_path)
    assert convert_projector(tmp_path, tmp_path / "projector.gguf", nothing)
    metadata = read_metadata(tmp_path / "projector.gguf")
    assert metadata.architecture == "clip"
    assert metadata.get("general.type") == "mmproj"
    assert metadata.get("clip.projector_type") == "qwen3vl_merger"
    assert metadata.get("clip.vision.is_deepstack_layers") == [True, True, False]


def test_a_model_that_does_not_see_has_no_projector(tmp_path: Path):
    make(tmp_path, CASES["qwen3"], "F16")
    assert not convert_projector(tmp_path, tmp_path / "projector.gguf", nothing)
    assert not (tmp_path / "projector.gguf").exists()


def test_a_projector_with_a_layer_missing_is_refused(tmp_path: Path):
    gemma3_folder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["vision_config"]["num_hidden_layers"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadRequest, match="for layer 2"):
        convert_projector(tmp_path, tmp_path / "projector.gguf", nothing)
