"""A model's answer to content, reasoning and tool calls: pure, in any chunking, each character read once.

A format reads answers (`Tagged` is the shape that most have); a `Stream` runs it over one. Beside them stand
the notations of calls that several families share.
"""

from .parts import Called, Content, Parser, Part, Thinking
from .source import Malformed, Source, Step
from .stream import Format, Stream
from .tagged import Asked, Reading, Tagged, Tags
from .tools import Tools

__all__ = [
    "Asked",
    "Called",
    "Content",
    "Format",
    "Malformed",
    "Parser",
    "Part",
    "Reading",
    "Source",
    "Step",
    "Stream",
    "Tagged",
    "Tags",
    "Thinking",
    "Tools",
]
