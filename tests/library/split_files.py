"""Cuts GGUF files into parts as llama.cpp's gguf-split does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter

from tests.model_parts import finish

_SKIPPED = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture")


def split(source: Path, folder: Path, count: int, about: Mapping[str, int] | None = None) -> list[Path]:
    """The parts of `source`, which are called `model-0000n-of-0000m.gguf`; the first has no tensors.

    `about` replaces what the parts say of the split: no, count, tensors.
    """
    reader, said = GGUFReader(source), about or {}
    paths = [folder / f"model-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1)]
    for number, path in enumerate(paths):
        writer = GGUFWriter(path, "llama")
        if number == 0:
            for key, field in reader.fields.items():
                if key not in _SKIPPED:
                    sub = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
                    writer.add_key_value(key, field.contents(), field.types[0], sub_type=sub)
        else:
            writer.kv_data[0].pop("general.architecture")
        writer.add_uint16("split.no", said.get("no", number))
        writer.add_uint16("split.count", said.get("count", count))
        writer.add_int32("split.tensors.count", said.get("tensors", len(reader.tensors)))
        for index, tensor in enumerate(reader.tensors):
            if 1 + index * (count - 1) // len(reader.tensors) == number:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        finish(writer)
    return paths
