"""What is read from the headers of whole files."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from puna.gguf import FILE_TYPES, TENSOR_TYPES, Skipped, read_metadata
from tests.gguf.raw import entry, header, read, tensor, text
from tests.model_parts import finish
from tests.models import shape_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_reads_what_the_gguf_package_wrote(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Größe 模型")
    writer.add_context_length(4096)
    writer.add_head_count_kv([1, 2, 3])
    writer.add_rope_freq_base(10000.5)
    writer.add_uint64("big", 2**64 - 1)
    writer.add_int64("small", -(2**63))
    writer.add_float64("double", 1e300)
    writer.add_bool("yes", True)
    writer.add_uint8("tiny", 7)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tensor("a.weight", np.zeros((3, 64), np.float32))
    quantised = gguf.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("b.weight", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    finish(writer)

    metadata = read_metadata(path)

    assert metadata.architecture == "llama"
    assert metadata.get("general.name") == "Größe 模型"
    assert metadata.arch("context_length") == 4096
    assert metadata.arch("attention.head_count_kv") == [1, 2, 3]
    assert metadata.arch("rope.freq_base") == 10000.5
    assert metadata.get("big") == 2**64 - 1
    assert metadata.get("small") == -(2**63)
    assert metadata.get("double") == 1e300
    assert metadata.get("yes") is True
    assert metadata.get("tiny") == 7
    assert metadata.get("absent") is None
    assert metadata.arch("absent", 5) == 5
    assert metadata.quantization == "Q8_0"
    assert metadata.parameter_count == 3 * 64 + 2 * 64
    first, second = metadata.tensors
    assert (first.name, first.shape, first.type_name, first.size) == ("a.weight", (64, 3), "F32", 768)
    assert (second.name, second.shape, second.type_name, second.size) == ("b.weight", (64, 2), "Q8_0", 136)
    assert second.offset == 768


def test_our_types_are_the_gguf_packages() -> None:
    sizes = {kind.value: (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {number: tuple(kind) for number, kind in TENSOR_TYPES.items()} == sizes
    names = {
        kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in gguf.LlamaFileType
    }
    names.pop(gguf.LlamaFileType.GUESSED.value)
    assert names == FILE_TYPES


def test_long_arrays_are_read_only_when_asked_for(path: Path) -> None:
    shape_model(path, vocab=3000)
    brief, verbose = read_metadata(path), read_metadata(path, verbose=True)
    for key in ("tokens", "scores", "token_type"):
        whole = verbose.get(f"tokenizer.ggml.{key}")
        assert isinstance(whole, list)
        assert brief.get(f"tokenizer.ggml.{key}") == Skipped(3000)
        assert len(brief.get(f"tokenizer.ggml.{key}")) == len(whole) == 3000
    assert verbose.get("tokenizer.ggml.tokens")[:4] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert brief.tensors == verbose.tensors
    assert brief.arch("context_length") == verbose.arch("context_length") == 4096


def test_a_header_longer_than_the_first_read_is_read_on(path: Path) -> None:
    words = b"".join(text(b"w" * 700) for _ in range(4000))
    array = struct.pack("<IQ", 8, 4000) + words
    content = header(entries=2) + entry(b"words", 9, array) + entry(b"after", 4, struct.pack("<I", 9))
    assert len(content) > 2 << 20
    assert read(path, content).values == {"words": Skipped(4000), "after": 9}
    assert read(path, content, verbose=True).get("words") == ["w" * 700] * 4000


def test_version_2_is_read(path: Path) -> None:
    assert read(path, header(version=2)).values == {}


def test_text_that_is_not_utf8_does_not_stop_the_reading(path: Path) -> None:
    assert read(path, header(entries=1) + entry(b"k", 8, text(b"a\xff"))).get("k") == "a\ufffd"


def test_an_architecture_that_is_no_text_is_unknown(path: Path) -> None:
    content = header(entries=1) + entry(b"general.architecture", 4, struct.pack("<I", 1))
    assert read(path, content).architecture == "unknown"


def test_a_tensor_type_from_the_future_is_left_to_the_engine(path: Path) -> None:
    (found,) = read(path, header(tensors=1) + tensor(b"t", [32], 9999, 0) + bytes(64)).tensors
    assert (found.type_name, found.size) == ("type 9999", 0)


def test_long_texts_are_read_only_when_asked_for(path: Path) -> None:
    long = b"x" * (1 << 20)
    content = header(entries=3) + b"".join(
        [entry(b"long", 8, text(long + b"x")), entry(b"short", 8, text(long)), entry(b"end", 4, bytes(4))]
    )
    brief, verbose = read(path, content), read_metadata(path, verbose=True)
    assert brief.values == {"long": Skipped(len(long) + 1), "short": long.decode(), "end": 0}
    assert verbose.get("long") == (long + b"x").decode()
