"""OpenAI's API under /v1/responses: answers that may be stored and continued.

Exports `routes`. Which fields are supported, ignored or refused: docs/responses.md, checked by the tests.
"""

from puna.server.responses.routes import routes

__all__ = ["routes"]
