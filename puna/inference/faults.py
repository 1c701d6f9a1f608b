"""Which part of a request a refusal is about, for dialects that call it by another name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from puna.inference.requests import ChatRequest, GenerateRequest
from puna.types import BadRequest, PromptTooLong

_SAID = {
    "tool_choice": r"invalid tool_choice",
    "tools": r"invalid tools|invalid JSON schema in tools",
    "schema": r"invalid JSON schema in format",
    "bias": r"logit_bias names",
    "template": r"template: ",
    # What names a field in its words came in that very field.
    "images": r'(?!invalid value for ").*\b(?:images?|sounds?)\b',
}
"""How the rooms below begin to tell of a field: from the engine's process nothing else comes."""
_EITHER = re.compile(r"the JSON schemas? in format (?:and|or) tools")


@contextmanager
def naming(request: ChatRequest | GenerateRequest) -> Iterator[None]:
    """Gives a BadRequest from within its `field`, if it has none."""
    try:
        yield
    except BadRequest as error:
        error.field = error.field or _field(request, error)
        raise


def _field(request: ChatRequest | GenerateRequest, error: BadRequest) -> str:
    if isinstance(error, PromptTooLong):
        return "prompt"
    message = str(error)
    if _EITHER.match(message):
        return "tools" if request.schema is None else "schema"
    return next((field for field, words in _SAID.items() if re.match(words, message)), "")
