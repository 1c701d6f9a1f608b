"""Converts text to a value by a JSON Schema. Parsers use it, and grammars write text for it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from puna.chat.schema import Targets, constants, kind_of, kinds

from .literals import python_value
from .values import json_value


def typed_value(schema: Any, targets: Targets, text: str) -> Any:
    """`text` as a value of `schema`; as text if it fits no other type.

    If the schema allows only strings, the value is the text itself. Otherwise, if the text is JSON of an
    allowed type, the value is decoded from it; a schema without a type allows any JSON. Lists and objects may
    also be Python's if the schema allows no string, as in the templates of MiniCPM5 and Seed-OSS.
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
    in_python = word[:1] in ("{", "[") and "string" not in types
    for read in (json_value, python_value) if in_python else (json_value,):
        with suppress(ValueError, RecursionError):
            value = read(word)
            if kind_of(value) in types:
                return value
    return text
