"""The paths of OpenAI's API and their functions, with OpenAI's error format."""

from __future__ import annotations

from starlette.routing import Mount, Route

from puna.server.openai.chat import chat
from puna.server.openai.completions import completions
from puna.server.openai.embeddings import embeddings
from puna.server.openai.errors import MIDDLEWARE
from puna.server.openai.models import model, models
from puna.server.openai.transcriptions import transcriptions

routes = [
    Mount(
        "/v1",
        routes=[
            Route("/chat/completions", chat, methods=["POST"]),
            Route("/completions", completions, methods=["POST"]),
            Route("/embeddings", embeddings, methods=["POST"]),
            Route("/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/models", models),
            Route("/models/{model:path}", model),
        ],
        middleware=MIDDLEWARE,
    )
]
