"""Constrains sampling: a grammar becomes a mask over the logits, token by token (llguidance).

For llguidance, control tokens have no text: they are allowed where a grammar names them, and in free text.
Other tokens match by their text, however they spell a marker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import count, groupby
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from puna.errors import BadRequest
from puna.types import Grammar

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_MAX_PARSES = 20_000
"""Most parallel parses of an answer; 20 of them take about a microsecond."""

_MAX_SIZE = 2 << 20
"""Most characters of a grammar, because compiling delays other requests."""

_CACHE_SIZE = 32
"""Compiled grammars."""

_UNTIL_RULE = re.compile(r"\buntil_(\d+)_([a-z]+(?:_\d+)?)\b")
_TERMINAL = re.compile(r"^([A-Z]+(?:_\d+)?):", re.MULTILINE)
_LOCATION = re.compile(r"at (\d+)\(\d+\): (?:failed to compile JSON schema: )?")
_SOURCE_LINE = re.compile(r"\n +\d+ \| ")


class GrammarVocabulary(Protocol):
    """What grammars need of a `LlamaModel`."""

    n_vocab: int

    def spell(self, token: int) -> bytes:
        """The bytes of a token as a user would write it, including control tokens."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; control tokens stand for none."""
        ...

    def ends(self, token: int) -> bool: ...

    def tokenize(self, text: str, *, add_special: bool) -> list[int]: ...


class Grammars:
    """Compiles grammars for one vocabulary; the first one costs about a second."""

    def __init__(self, vocabulary: GrammarVocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer: LLTokenizer | None = None
        self._control: dict[str, int] = {}
        self._cached_compile = lru_cache(maxsize=_CACHE_SIZE)(self._compile)

    def matcher(self, grammar: Grammar) -> Matcher:
        """A new matcher. Raises BadRequest with what the grammar does not support."""
        compiled = self._cached_compile(grammar)
        return Matcher(compiled.deep_copy(), self._vocabulary.n_vocab, _field(grammar))

    def _compile(self, grammar: Grammar) -> LLMatcher:
        from llguidance import LLMatcher, LLParserLimits

        tokenizer = self._tokenizer or self._read_vocabulary()
        if len(grammar.source) > _MAX_SIZE:
            problem = f"the JSON schemas in format and tools are longer than {_MAX_SIZE >> 10} KB"
            raise BadRequest(problem, _field(grammar))
        source = "\n".join([grammar.source, *self._definitions(grammar)])
        limits = LLParserLimits(max_items_in_row=_MAX_PARSES, step_max_items=10 * _MAX_PARSES)
        while True:
            compiled = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(source), log_level=0, limits=limits)
            if not compiled.is_error():
                return compiled
            relaxed = _relax(compiled.get_error(), source, grammar)
            if relaxed is None:
                raise _compile_error(compiled.get_error(), source, grammar)
            source = relaxed

    def _read_vocabulary(self) -> LLTokenizer:
        from llguidance import LLTokenizer, TokenizerWrapper

        vocabulary = _TokenizerVocabulary(self._vocabulary)
        self._control = vocabulary.control
        self._tokenizer = LLTokenizer(TokenizerWrapper(vocabulary), eos_token=vocabulary.ends)
        return self._tokenizer

    def _definitions(self, grammar: Grammar) -> Iterator[str]:
        """The rules that depend on the vocabulary."""
        control = self._control
        others = _ranges(token for text, token in control.items() if text not in grammar.markers)
        # Otherwise forced text would pass in one tokenisation only, which is not always the model's.
        yield '%llguidance {"no_forcing": true}'
        yield "TEXT: /(?s:.*)/"
        yield f"text: {_interspersed(others)} TEXT"
        yield f"anything: {_interspersed(_ranges(control.values()))} TEXT"
        terminals = set(map(str.lower, _TERMINAL.findall(grammar.source)))
        until_rules = {(int(number), terminal) for number, terminal in _UNTIL_RULE.findall(grammar.source)}
        for number, marker in enumerate(grammar.markers):
            literal = _literal(marker)
            special = f" | <[{control[marker]}]>" if marker in control else ""
            yield f"marker_{number}: {literal}{special}"
            rest = _ranges(token for text, token in control.items() if text != marker)
            spelled = f"spelled_{number}"
            yield f"{spelled}[lazy]: TEXT {literal}"
            ending = f"({spelled}{special.replace('| ', '| TEXT ')})"
            yield f"until_{number}: {_interspersed(others)} {ending}"
            yield f"through_{number}: {_interspersed(rest)} {ending}"
            for terminal in sorted(one for at, one in until_rules if at == number and one in terminals):
                yield f"{spelled}_{terminal}[lazy]: {terminal.upper()} {literal}"
                special_ending = special.replace("| ", f"| {terminal.upper()} ")
                yield f"until_{number}_{terminal}: {spelled}_{terminal}{special_ending}"


class Matcher:
    """An answer's state in its grammar."""

    def __init__(self, matcher: LLMatcher, n_vocab: int, field: str) -> None:
        """`field`: the request's field that the grammar comes from, for BadRequest."""
        self._matcher = matcher
        self._n_vocab = n_vocab
        self._field = field
        self._mask = np.zeros((n_vocab + 31) // 32, np.int32)

    def allows(self, token: int) -> bool:
        """Whether `token` may come next; if so, consume it."""
        return self._matcher.try_consume_tokens([token]) == 1

    def constrain(self, logits: NDArray[np.float32]) -> None:
        """Set the logits of all tokens that may not come next to -inf, in place."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: self._n_vocab]
        np.putmask(logits, allowed == 0, -np.inf)

    def accept(self, token: int) -> None:
        self._matcher.consume_token(token)

    def forced_tokens(self) -> list[int]:
        """Tokens of the text that must come next. Other tokens may spell it too."""
        # The second call uses the result of the first.
        return self._matcher.compute_ff_tokens() if self._matcher.compute_ff_bytes() else []

    @property
    def finished(self) -> bool:
        """Whether the answer is complete and nothing may follow, or there is an `error`."""
        return self._matcher.is_stopped()

    @property
    def error(self) -> BadRequest | None:
        """Why the grammar cannot continue; None if it can, or if the answer is complete."""
        if not self._matcher.is_error():
            return None
        reason = self._matcher.get_error().splitlines()[0]
        problem = f"the JSON schema in format or tools is too complex to be kept: {reason}"
        return BadRequest(problem, self._field)


class _TokenizerVocabulary:
    """A vocabulary in llguidance's form."""

    bos_token_id: int | None = None

    def __init__(self, vocabulary: GrammarVocabulary) -> None:
        ids = range(vocabulary.n_vocab)
        self._vocabulary = vocabulary
        self.tokens: Sequence[bytes] = [vocabulary.spell(token) for token in ids]
        self.special_token_ids = [t for t in ids if self.tokens[t] and not vocabulary.piece(t)]
        self.ends = [token for token in self.special_token_ids if vocabulary.ends(token)]
        self.eos_token_id = self.ends[0] if self.ends else len(self.tokens) - 1
        ending = set(self.ends)
        self.control = {
            self.tokens[token].decode("utf-8", "replace"): token
            for token in self.special_token_ids
            if token not in ending
        }

    def __call__(self, text: str | bytes) -> list[int]:
        plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self._vocabulary.tokenize(plain, add_special=False)


def _interspersed(control: str) -> str:
    """Text with any number of these control tokens."""
    return f"(TEXT <[{control}]>)*" if control else ""


def _ranges(tokens: Iterable[int]) -> str:
    """Token ids in llguidance's form: `3-7,9-9`."""
    runs: list[str] = []
    counted = zip(count(), sorted(tokens), strict=False)
    for _, run in groupby(counted, lambda pair: pair[1] - pair[0]):
        ids = [token for _, token in run]
        runs.append(f"{ids[0]}-{ids[-1]}")
    return ",".join(runs)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _field(grammar: Grammar) -> str:
    """The request's field that the grammar comes from, for BadRequest."""
    return "schema" if grammar.schema else "tools"


def _relax(error: str, source: str, grammar: Grammar) -> str | None:
    """The grammar with the unsupported schema relaxed to its type; None if it is not a tool's."""
    location, lines = _LOCATION.match(error), source.split("\n")
    name, json_schema, text = lines[int(location[1]) - 1].partition(": %json ") if location else ("", "", "")
    if not json_schema or name == grammar.schema:
        return None
    schema = json.loads(text)
    relaxed = {key: value for key, value in schema.items() if key in ("type", "x-guidance")}
    if not location or relaxed == schema:
        return None
    lines[int(location[1]) - 1] = f"{name}{json_schema}{json.dumps(relaxed)}"
    return "\n".join(lines)


def _compile_error(error: str, source: str, grammar: Grammar) -> BadRequest:
    """The problem, and the field of its schema."""
    field, location = _field(grammar), _LOCATION.match(error)
    if location and not source.split("\n")[int(location[1]) - 1].startswith(f"{grammar.schema}:"):
        field = "tools"
    problem = _SOURCE_LINE.split(error[location.end() if location else 0 :])[0]
    if problem.startswith("panic"):
        problem = "it is too large"
    if problem.startswith("regex parse error"):
        problem = f"pattern: {' '.join(problem.split())}"
    place = "format" if field == "schema" else field
    return BadRequest(f"invalid JSON schema in {place}: {problem}", field)
