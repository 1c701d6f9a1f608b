"""Structured outputs: a JSON Schema becomes, token by token, a mask over the logits (llguidance)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from puna.engine.llama import Model
from puna.types import BadRequest, Grammar

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_COMBINATORS = {"allOf", "anyOf", "oneOf", "$ref", "not", "if", "patternProperties"}
# Free white space lets a small model pad for ever; one blank or an indented line is all JSON needs.
_WHITESPACE = r"( |\n[ \t]{0,32})?"


class Grammars:
    """Compiles grammars for one vocabulary; the first one costs about a second."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._tokenizer: LLTokenizer | None = None

    def matcher(self, grammar: Grammar) -> Matcher:
        """A fresh state machine. Raises BadRequest saying what of the schema cannot be kept."""
        from llguidance import LLMatcher
        from llguidance.llamacpp import lltokenizer_from_vocab

        if self._tokenizer is None:
            self._tokenizer = lltokenizer_from_vocab(self._model.vocab, n_vocab=self._model.n_vocab)
        schema = {"type": "object"} if grammar.kind == "json" else closed(json.loads(grammar.source))
        try:
            compiled = LLMatcher.grammar_from_json_schema(schema, {"whitespace_pattern": _WHITESPACE})
        except ValueError as problem:
            raise BadRequest(f"invalid JSON schema in format: {problem}") from None
        if error := LLMatcher.validate_grammar(compiled, self._tokenizer):
            raise BadRequest(f"invalid JSON schema in format: {error}")
        return Matcher(LLMatcher(self._tokenizer, compiled), self._model.n_vocab)


class Matcher:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: LLMatcher, n_vocab: int) -> None:
        self._matcher = matcher
        self._n_vocab = n_vocab
        self._mask = np.zeros((n_vocab + 31) // 32, np.int32)

    def constrain(self, logits: NDArray[np.float32]) -> None:
        """Set to -inf, in place, every token that may not come next."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: self._n_vocab]
        np.putmask(logits, allowed == 0, -np.inf)

    def accept(self, token: int) -> None:
        self._matcher.consume_token(token)

    @property
    def finished(self) -> bool:
        """The answer is complete and nothing more may follow."""
        return self._matcher.is_stopped()


def closed(schema: Any) -> Any:
    """The schema with no properties beyond those it names, where it does not say otherwise.

    JSON Schema allows any further property; a small model would invent them without end, and Ollama's
    grammars do not let it. Every answer to the closed schema fits the open one. Schemas that combine
    others (allOf and its kin) stay open, for closing a part would contradict the whole.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: value if key in ("allOf", "not", "const", "enum", "default", "examples") else closed(value)
        for key, value in schema.items()
    }
    names = schema.get("properties")
    if isinstance(names, dict) and names and not _COMBINATORS & schema.keys():
        result.setdefault("additionalProperties", False)
    return result
