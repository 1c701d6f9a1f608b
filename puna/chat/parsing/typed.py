"""The value that text is by a JSON Schema: what parsers read by, and what grammars write for."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from puna.chat.schema import Targets, constants, kind_of, kinds

from .values import json_value


def typed(schema: Any, targets: Targets, text: str) -> Any:
    """The value that `text` is by `schema`; text if none fits.

    A string's text is the string. Where a schema allows more, text that is JSON of a type it allows is that
    value: so is any JSON where it says no type.
    Sources: Ollama model/parsers/qwen3coder.go, parseValue; llama.cpp common/json-schema-to-grammar.cpp,
    resolves_to_string.
    """
    types, word = kinds(schema, targets), text.strip()
    named = list(constants(schema, targets))
    for one in (text, word):
        if one in named:
            return one
    if types <= {"string"} and not named:
        return text
    if word.lower() == "null":
        return None
    if "boolean" in types and word.lower() in ("true", "false"):
        return word.lower() == "true"
    with suppress(ValueError, RecursionError):
        value = json_value(word)
        if kind_of(value) in types:
            return value
    return text
