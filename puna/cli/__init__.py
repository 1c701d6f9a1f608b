"""The commands of `puna`, a module for each group.

Talks to the server over HTTP only, through the official `ollama` client. Heavy imports are late, so that help
is quick. Exports `main`.
"""

from puna.cli.app import main

__all__ = ["main"]
