"""Models at rest: names, manifests, blobs in Ollama's layout, and metadata of GGUF files.

A `Library` finds, lists, writes and removes models; a `Model` is one of them. Nothing here loads a model.
"""

from puna.library.addresses import is_public
from puna.library.blobs import WrongDigest
from puna.library.create import create
from puna.library.doctor import Finding, RepairResult, check, repair
from puna.library.durable import make_folder, write_errors, write_private
from puna.library.lock import file_lock
from puna.library.manifests import Layer
from puna.library.model import Model, describe
from puna.library.names import Name
from puna.library.recipe import Recipe
from puna.library.registry import (
    ANY_HOST,
    DEFAULT_LIMITS,
    AllowedHosts,
    TransferLimits,
    pull,
    push,
    restore,
)
from puna.library.show import ShowResponse, show
from puna.library.starters import STARTERS, StarterModel, install, starter_for
from puna.library.store import Library
from puna.library.uploads import WrongOffset, receive, upload_offset

__all__ = [
    "ANY_HOST",
    "DEFAULT_LIMITS",
    "STARTERS",
    "AllowedHosts",
    "Finding",
    "Layer",
    "Library",
    "Model",
    "Name",
    "Recipe",
    "RepairResult",
    "ShowResponse",
    "StarterModel",
    "TransferLimits",
    "WrongDigest",
    "WrongOffset",
    "check",
    "create",
    "describe",
    "file_lock",
    "install",
    "is_public",
    "make_folder",
    "pull",
    "push",
    "receive",
    "repair",
    "restore",
    "show",
    "starter_for",
    "upload_offset",
    "write_errors",
    "write_private",
]
