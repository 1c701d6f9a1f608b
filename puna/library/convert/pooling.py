"""The pooling type, from sentence-transformers' modules.json and Pooling module."""

from __future__ import annotations

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import read_json
from puna.library.convert.writing import Value

_MODES = {"mean_tokens": 1, "cls_token": 2, "lasttoken": 3}  # llama.h, llama_pooling_type
_NAMED = {"mean": 1, "cls": 2, "lasttoken": 3}
_USUAL = "1_Pooling"


def pooling(checkpoint: Checkpoint) -> dict[str, Value]:
    """The pooling type, if the folder has a Pooling module. Raises BadRequest if llama.cpp lacks it."""
    config = checkpoint.json(f"{_folder(checkpoint)}/config.json")
    if not config.values:
        return {}
    for mode, kind in _MODES.items():
        if config.get(f"pooling_mode_{mode}"):
            return {"pooling_type": kind}
    if config.get("pooling_mode") in _NAMED:
        return {"pooling_type": _NAMED[config.get("pooling_mode")]}
    raise BadRequest("the model pools its tokens neither by mean, nor by the first token, nor by the last")


def _folder(checkpoint: Checkpoint) -> str:
    """The Pooling module's folder, which must be inside the model's."""
    modules = read_json(checkpoint.folder / "modules.json") if checkpoint.has("modules.json") else []
    for module in modules if isinstance(modules, list) else []:
        if isinstance(module, dict) and str(module.get("type")).endswith("Pooling"):
            path = str(module.get("path"))
            if set(path) & set("/\\\0") or path in ("", ".", ".."):
                raise BadRequest(f"modules.json: {path!r} is no folder of the model")
            return path
    return _USUAL
