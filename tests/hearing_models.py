"""Small models that hear, and sounds for them: a random decoder and a random projector, made on the spot."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tests.model_parts import F32, Weights, finish
from tests.models import shape_model
from tests.vision_models import WIDTH, add_sight

RATE = 16_000
ROWS = 15
"""Embeddings of half a minute."""

_FRAMES, _BINS, _INNER, _FFN, _HIDDEN = 3000, 8, 16, 32, 32
_PATCH, _POOLED, _WAVE = 4, 3, 640
_STACKED = _FRAMES // 2 // ROWS


def hearing_model(folder: Path, *, sees: bool = False, seed: int = 0) -> tuple[Path, Path]:
    """Write a random `llama` model and an Ultravox projector for it; the paths of both."""
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    shape_model(model, width=WIDTH, seed=seed)
    ultravox_projector(projector, sees=sees, seed=seed + 1)
    return model, projector


def ultravox_projector(path: Path, *, width: int = WIDTH, sees: bool = False, seed: int = 1) -> None:
    """Write a Whisper encoder whose frames are stacked, as Ultravox has it (llama.cpp tools/mtmd).

    With `sees` there is LLaVA's encoder of pictures beside it.
    """
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_audio_encoder", True)
    if sees:
        writer.add_string("clip.vision.projector_type", "mlp")
        writer.add_string("clip.audio.projector_type", "ultravox")
        add_sight(writer, width=width)
    else:
        writer.add_clip_projector_type("ultravox")
    audio = {
        "num_mel_bins": _BINS,
        "embedding_length": _INNER,
        "feed_forward_length": _FFN,
        "projection_dim": width,
        "block_count": 1,
        "attention.head_count": 2,
        "projector.stack_factor": _STACKED,
    }
    for key, value in audio.items():
        writer.add_uint32(f"clip.audio.{key}", value)
    writer.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-5)
    weights = Weights(writer, seed, F32)
    random = np.random.default_rng(seed)
    for number, channels in ((1, _BINS), (2, _INNER)):
        kernel = random.standard_normal((_INNER, channels, 3)) / (3 * channels) ** 0.5
        writer.add_tensor(f"a.conv1d.{number}.weight", kernel.astype(np.float16))
        writer.add_tensor(f"a.conv1d.{number}.bias", np.zeros((_INNER, 1), np.float32))
    weights.matrix("a.position_embd", _FRAMES // 2, _INNER)
    weights.biased_norm("a.post_ln", _INNER)
    weights.biased_norm("a.blk.0.ln1", _INNER)
    weights.biased_norm("a.blk.0.ln2", _INNER)
    for part in ("attn_q", "attn_v", "attn_out"):
        weights.biased_matrix(f"a.blk.0.{part}", _INNER, _INNER)
    weights.matrix("a.blk.0.attn_k", _INNER, _INNER)
    weights.biased_matrix("a.blk.0.ffn_up", _FFN, _INNER)
    weights.biased_matrix("a.blk.0.ffn_down", _INNER, _FFN)
    weights.norm("mm.a.norm_pre", _INNER * _STACKED)
    weights.matrix("mm.a.mlp.1", 2 * _HIDDEN, _INNER * _STACKED)
    weights.norm("mm.a.norm_mid", _HIDDEN)
    weights.matrix("mm.a.mlp.2", width, _HIDDEN)
    finish(writer)


def unified_model(folder: Path, *, seed: int = 0) -> tuple[Path, Path]:
    """Write a random `llama` model and a projector without encoders, as the Gemma 4 of 12B has it.

    Patches of pictures and 40 ms of a sound each become a row by one matrix (llama.cpp tools/mtmd, gemma4uv
    and gemma4ua).
    """
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    shape_model(model, width=WIDTH, seed=seed)
    writer = GGUFWriter(projector, "clip")
    writer.add_type("mmproj")
    for sense, kind, width in (("vision", "gemma4uv", _INNER), ("audio", "gemma4ua", _WAVE)):
        writer.add_bool(f"clip.has_{sense}_encoder", True)
        writer.add_string(f"clip.{sense}.projector_type", kind)
        writer.add_uint32(f"clip.{sense}.embedding_length", width)
        writer.add_uint32(f"clip.{sense}.projection_dim", WIDTH)
        for unused in ("feed_forward_length", "block_count", "attention.head_count"):
            writer.add_uint32(f"clip.{sense}.{unused}", 0)
        writer.add_float32(f"clip.{sense}.attention.layer_norm_epsilon", 1e-6)
    writer.add_uint32("clip.audio.num_mel_bins", 128)
    writer.add_vision_image_size(224)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_image_mean([0.0] * 3)
    writer.add_vision_image_std([1.0] * 3)
    weights, patch = Weights(writer, seed + 1, F32), 3 * (_POOLED * _PATCH) ** 2
    random = np.random.default_rng(seed + 1)
    weights.biased_matrix("v.patch_embd", _INNER, patch)
    for number, width in ((1, patch), (2, _INNER), (3, _INNER)):
        weights.biased_norm(f"v.patch_norm.{number}", width)
    places = random.standard_normal((2, 256, _INNER), np.float32)
    writer.add_tensor("v.position_embd.weight", places)
    weights.matrix("mm.input_projection", WIDTH, _INNER)
    weights.matrix("mm.a.input_projection", WIDTH, _WAVE)
    finish(writer)
    return model, projector


def tone(pitch: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A tone with a little noise, as 16-bit samples."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(int(pitch)).standard_normal(len(times)) * 0.05
    return (np.clip(0.5 * np.sin(2 * np.pi * pitch * times) + noise, -1, 1) * 32767).astype("<i2")


def wav(samples: np.ndarray, rate: int = RATE, channels: int = 1) -> bytes:
    """A WAV file of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(channels)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples.tobytes())
    return file.getvalue()


def float_wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """A WAV file of floats, one channel."""
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, rate, 4 * rate, 4, 32)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def silent_mp3(frames: int) -> bytes:
    """An MP3 file of silence: MPEG-1, layer III, 128 kbit/s at 44.1 kHz, 1,152 samples a frame."""
    return (b"\xff\xfb\x90\xc4" + bytes(413)) * frames
