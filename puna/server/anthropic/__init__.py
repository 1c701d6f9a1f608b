"""Anthropic's API: /v1/messages and /v1/messages/count_tokens. Translates to and from inference.

Exports `routes`. Which fields are supported, ignored or refused: docs/anthropic.md, checked by the tests.
"""

from puna.server.anthropic.routes import routes

__all__ = ["routes"]
