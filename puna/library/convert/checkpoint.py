"""A model's folder in Hugging Face's layout: config.json, tokenizer, weights in one file or in shards."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from puna.errors import BadRequest
from puna.library.convert.config import Config, read_config
from puna.library.convert.safetensors import open_tensors
from puna.library.convert.tensors import Tensor

_INDEX = "model.safetensors.index.json"


class Checkpoint:
    """The files of `folder`, each read on first use. Raises BadRequest for invalid ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def json(self, name: str) -> Config:
        """The object in the file `name`; an empty one when the file is missing."""
        return read_config(self.folder / name) if self.has(name) else Config({}, name)

    @cached_property
    def config(self) -> Config:
        """config.json, overlaid with the text model's section of a multimodal model."""
        config = read_config(self.folder / "config.json")
        return config.section("text_config").with_defaults(config)

    @cached_property
    def architecture(self) -> str:
        """The first of config.json's architectures, such as "LlamaForCausalLM"."""
        names = self.config.get("architectures")
        if not isinstance(names, list) or not names or not isinstance(names[0], str):
            raise BadRequest("unknown architecture: config.json has no architectures")
        return names[0]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, from all files."""
        tensors: dict[str, Tensor] = {}
        for path in self._files():
            for name, tensor in open_tensors(path).items():
                if name in tensors:
                    raise BadRequest(f"{path.name}: tensor {name} is in another file too")
                tensors[name] = tensor
        return tensors

    def _files(self) -> list[Path]:
        if self.has(_INDEX):
            return self._shards()
        if self.has("model.safetensors"):
            return [self.folder / "model.safetensors"]
        # "consolidated…" has the same weights again, in the maker's own format.
        files = [
            path for path in self.folder.glob("*.safetensors") if not path.name.startswith("consolidated")
        ]
        if not files:
            raise BadRequest("no safetensors files to convert")
        return sorted(files)

    def _shards(self) -> list[Path]:
        files_by_tensor = self.json(_INDEX).section("weight_map").values
        if not files_by_tensor:
            raise BadRequest(f"{_INDEX} has no weight_map")
        for tensor, file in files_by_tensor.items():
            if not isinstance(file, str) or not file.endswith(".safetensors") or set(file) & set("/\\\0"):
                raise BadRequest(f"{_INDEX}: tensor {tensor} is in {file!r}, which is no safetensors file")
        files = sorted(set(files_by_tensor.values()))
        names: dict[str, set[str]] = {}
        for file in files:
            if not self.has(file):
                raise BadRequest(f"{file} is missing; {_INDEX} names it")
            names[file] = set(open_tensors(self.folder / file))
        for tensor, file in files_by_tensor.items():
            if tensor not in names[file]:
                raise BadRequest(f"{file} has no tensor {tensor}, which {_INDEX} says it has")
        return [self.folder / file for file in files]
