"""The native dialect: Ollama's /api, field for field. Translates to and from inference.

Exports `routes`, for the application to mount.
"""

from puna.server.native.routes import routes

__all__ = ["routes"]
