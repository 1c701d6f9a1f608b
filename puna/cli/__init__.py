"""The commands of `puna`: one module for each group.

They talk to the server over HTTP only, through the official `ollama` client. Slow imports are deferred, so
that help is quick. Exports `main`.
"""

from puna.cli.app import main

__all__ = ["main"]
