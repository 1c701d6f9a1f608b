"""Serves a request: finds and checks the model, renders the prompt, leases a runner, streams the answer.

It knows no dialect: the server converts to and from the types exported here.
"""

from puna.inference.form import capabilities
from puna.inference.observer import Observer
from puna.inference.ranking import RankInput
from puna.inference.requests import (
    Answer,
    AnswerEvent,
    Call,
    ChatInput,
    Embedded,
    EmbedInput,
    GenerateInput,
    Piece,
    Rendered,
    Summary,
    Think,
    ToolMode,
    joined,
    priority,
    schema,
)
from puna.inference.service import Inference
from puna.inference.sounds import check_sound, sound
from puna.types import Begun

__all__ = [
    "Answer",
    "AnswerEvent",
    "Begun",
    "Call",
    "ChatInput",
    "EmbedInput",
    "Embedded",
    "GenerateInput",
    "Inference",
    "Observer",
    "Piece",
    "RankInput",
    "Rendered",
    "Summary",
    "Think",
    "ToolMode",
    "capabilities",
    "check_sound",
    "joined",
    "priority",
    "schema",
    "sound",
]
