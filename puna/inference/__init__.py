"""One request's way: find the model, check it can do this, render the prompt, lease a runner, stream.

Speaks no dialect: the server translates to and from the types exported here.
"""

from puna.inference.requests import (
    ChatRequest,
    Embedded,
    EmbedRequest,
    GenerateRequest,
    Piece,
    Summary,
    Think,
    grammar,
)
from puna.inference.service import Inference

__all__ = [
    "ChatRequest",
    "EmbedRequest",
    "Embedded",
    "GenerateRequest",
    "Inference",
    "Piece",
    "Summary",
    "Think",
    "grammar",
]
