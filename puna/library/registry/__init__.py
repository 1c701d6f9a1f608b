"""Pulls and pushes models by the OCI distribution protocol, as Ollama does.

`pull`, `push` and `restore` block, so call them in a thread. An error raised by `report` cancels them.
"""

from puna.library.registry.allowed import ANY_HOST, AllowedHosts
from puna.library.registry.limits import DEFAULT_LIMITS, TransferLimits
from puna.library.registry.pull import pull
from puna.library.registry.push import push
from puna.library.registry.restore import restore

__all__ = ["ANY_HOST", "DEFAULT_LIMITS", "AllowedHosts", "TransferLimits", "pull", "push", "restore"]
