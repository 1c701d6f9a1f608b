"""OpenAI's API under /v1: chat completions, completions, embeddings, transcriptions, models.

Exports `routes`. Which fields are supported, ignored or refused: docs/openai.md, checked by the tests.
"""

from puna.server.openai.routes import routes

__all__ = ["routes"]
