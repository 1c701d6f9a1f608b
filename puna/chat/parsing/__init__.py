"""Streaming parsers of answers: content, reasoning and tool calls, in any chunking, in linear time.

A format parses answers (most are a `Tagged`); a `Parser` runs it on one answer. The other modules are
call notations of several families.
"""

from .parts import Called, Content, Part, Thought
from .scanner import Malformed, Scanner, Step
from .stream import Format, Parser
from .tagged import CallReader, Expected, Tagged, ThinkingTags
from .tools import Tools

__all__ = [
    "CallReader",
    "Called",
    "Content",
    "Expected",
    "Format",
    "Malformed",
    "Parser",
    "Part",
    "Scanner",
    "Step",
    "Tagged",
    "ThinkingTags",
    "Thought",
    "Tools",
]
