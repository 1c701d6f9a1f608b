"""Pulls and pushes models by the OCI distribution protocol, as Ollama does.

`pull`, `push` and `restore` block, so call them in a thread. An error raised by `report` cancels them.
"""

from puna.library.registry.pace import USUAL, Pace
from puna.library.registry.pull import pull
from puna.library.registry.push import push
from puna.library.registry.reach import ANYWHERE, Reach
from puna.library.registry.restore import restore

__all__ = ["ANYWHERE", "USUAL", "Pace", "Reach", "pull", "push", "restore"]
