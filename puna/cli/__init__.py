"""What a person types: the commands of `puna`, one module a command group.

Talks to the server over HTTP only, through the official `ollama` client; nothing heavy is imported
before a command needs it. Exports `main`, the program itself.
"""

from puna.cli.app import main

__all__ = ["main"]
