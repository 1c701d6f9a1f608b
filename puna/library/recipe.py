"""The checked fields of Ollama's CreateRequest (api/types.go)."""

from __future__ import annotations

import json
from pathlib import PureWindowsPath
from typing import Any

import msgspec

from puna.errors import BadRequest
from puna.options import IGNORED, Options
from puna.types import Message


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A model to create. The constructor raises BadRequest naming the problem."""

    base: str = ""
    """The base model, which must be in the library. With a base, `files` are ignored."""
    files: dict[str, str] | None = None
    """Digests of blobs by relative file names."""
    adapters: dict[str, str] = msgspec.field(default_factory=dict)
    draft: str = ""
    """A draft model in the library; `draft_files` is the alternative."""
    draft_files: dict[str, str] = msgspec.field(default_factory=dict)
    draft_quantize: str = ""
    """Type of the draft model's weights."""
    template: str = ""
    system: str = ""
    licenses: list[str] = msgspec.field(default_factory=list)
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    messages: list[Message] = msgspec.field(default_factory=list)
    quantize: str = ""
    """Type of the weights, such as "Q4_K_M"; empty to keep theirs."""
    renderer: str = ""
    parser: str = ""
    names: dict[str, str] = msgspec.field(default_factory=dict)
    """By architecture, the default renderer and parser of models without a template."""
    requires: str = ""
    info: dict[str, Any] = msgspec.field(default_factory=dict)
    """Overrides of the config."""

    def __post_init__(self) -> None:
        for name in (*(self.files or ()), *self.adapters, *self.draft_files):
            if not _is_local(name):
                raise BadRequest(f"file path must be relative: {json.dumps(name)}")
        if not self.base and self.files is None:
            raise BadRequest("neither 'from' or 'files' was specified")
        if not self.base and not self.files:
            raise BadRequest("no files provided to convert")
        if self.draft and self.draft_files:
            raise BadRequest("'draft' and 'draft_files' name two draft models", "draft")
        if self.draft_quantize and not (self.draft or self.draft_files):
            raise BadRequest("draft_quantize requires a DRAFT model", "draft_quantize")
        self.options()
        self.overrides()

    def options(self) -> dict[str, Any]:
        """The typed parameters, without ignored ones. Raises BadRequest for an unknown parameter."""
        parameters = {name: value for name, value in self.parameters.items() if name not in IGNORED}
        options, unknown = Options().override(parameters)
        if unknown:
            raise BadRequest(f"unknown parameter '{unknown[0]}'")
        return {name: getattr(options, name) for name, value in parameters.items() if value is not None}

    def overrides(self) -> dict[str, Any]:
        """`info` as entries of the config (Ollama server/create.go). Raises BadRequest naming the field."""
        config: dict[str, Any] = {}
        for field, name in _TEXTS.items():
            value = self.info.get(field, "")
            if not isinstance(value, str):
                raise BadRequest(f'info field "{field}" must be a string')
            if value:
                config[name] = value
        for field in ("context_length", "embedding_length"):
            value = self.info.get(field, 0)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise BadRequest(f'info field "{field}" must be a number')
            if value < 0 or value != value // 1 or value >= 1 << 63:
                raise BadRequest(f'info field "{field}" must be a non-negative integer')
            if value:
                config[field] = int(value)
        capabilities = self.info.get("capabilities")
        if isinstance(capabilities, list) and capabilities:
            config["capabilities"] = [text for text in capabilities if isinstance(text, str)]
        if "model_family" in config:
            config["model_families"] = [config["model_family"]]
        return config


_TEXTS = {
    "model_family": "model_family",
    "base_name": "base_name",
    "quantization_level": "file_type",
    "parameter_size": "model_type",
}


def _is_local(name: str) -> bool:
    """Whether `name` is a relative path that stays inside its folder, on any system."""
    parts = name.split("/")
    inside = all(part not in ("", ".", "..") for part in parts)
    return inside and "\0" not in name and "\\" not in name and not PureWindowsPath(name).drive
