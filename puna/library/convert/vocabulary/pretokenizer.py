"""llama.cpp's name for the pre-tokenizer of a byte-level BPE: `tokenizer.ggml.pre`.

Found by comparing tokenizer.json's pre_tokenizer with the expressions in llama.cpp's src/llama-vocab.cpp.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from puna.errors import BadRequest
from puna.library.convert.config import Config

_SUFFIXES = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s+(?!\S)|\s+"
_WORDS = _SUFFIXES + r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|" + _SPACES
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PATHS = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|" + _SPACES


def _case_split(suffix: str) -> str:
    """Splits words where lower case turns to upper case."""
    parts = (
        r"[^\r\n\p{L}\p{N}]?" + _UPPER + more + suffix for more in ("*" + _LOWER + "+", "+" + _LOWER + "*")
    )
    return "|".join(parts) + "|"


_BYTES = "ByteLevel"
"""GPT-2's own expression, which the step of that name applies by default."""

_NAMES: dict[tuple[str, ...], str] = {
    (_BYTES,): "gpt-2",
    ("Digits", _BYTES): "smollm",
    (_WORDS + r"\p{N}{1,3}" + _SIGNS,): "llama-bpe",
    (_WORDS + r"\p{N}" + _SIGNS,): "qwen2",
    (
        _SUFFIXES
        + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        + _SPACES,
    ): "qwen35",
    (_case_split(_SUFFIXES + "?") + r"\p{N}{1,3}" + _PATHS,): "gpt-4o",
    (_case_split("") + r"\p{N}" + _PATHS,): "tekken",
    (
        r"\p{N}{1,3}",
        "[一-龥぀-ゟ゠-ヿ]+",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
        r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|" + _SPACES,
    ): "deepseek-v3",
}
_DIGESTS = {
    "03df5c5863ad70781dcfdef491ead25140f895fe8010964be0daefe27be32b02": "deepseek-llm",
    "21cde974d587f0d54dc8d56b183cc1e6239600172035c68fbd6d4b9f8da0576e": "deepseek-coder",
}
"""Names by the SHA-256 of two very long expressions (Ollama's convert/tokenizer.go)."""

_MERGED_WHOLE = {"llama-bpe": "dbrx"}
"""Under the first name, a word that is a token itself is not merged; under the second it is."""


def pretokenizer(tokenizer: Config) -> str:
    """The name for `tokenizer`. Raises BadRequest when llama.cpp has none: it would split text wrongly."""
    steps = tuple(_steps(tokenizer))
    expressions = "".join(step for step in steps if step not in ("Digits", _BYTES))
    plain = tuple(_plain(step) for step in steps)
    name = _NAMES.get(plain) or _DIGESTS.get(hashlib.sha256(expressions.encode()).hexdigest())
    if name is None:
        raise BadRequest(f"{tokenizer.file}: unknown pre-tokenizer {' then '.join(steps) or 'of no steps'}")
    if not tokenizer.section("model").get("ignore_merges"):
        name = _MERGED_WHOLE.get(name, name)
    return name


def _steps(tokenizer: Config) -> list[str]:
    """The splitting steps in order: expressions, and the names of other steps."""
    top = tokenizer.section("pre_tokenizer").values
    parts: Any = top.get("pretokenizers") if top.get("type") == "Sequence" else [top] if top else []
    steps: list[str] = []
    for part in parts if isinstance(parts, list) else [parts]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "Split" and _keeps_all(part) and isinstance(part.get("pattern"), dict):
            pattern = part["pattern"]
            literal = pattern.get("String")
            steps.append(re.escape(literal) if isinstance(literal, str) else str(pattern.get("Regex")))
        elif kind == "Digits" and part.get("individual_digits"):
            steps.append("Digits")
        elif kind == "ByteLevel":
            steps += [_BYTES] if part.get("use_regex", True) else []
        else:
            steps.append(f"[{kind}]")
    return steps


def _keeps_all(part: dict[str, Any]) -> bool:
    """Whether matches become pieces: isolated, or with all else (nothing) removed."""
    return part.get("behavior") == ("Removed" if part.get("invert") else "Isolated")


def _plain(expression: str) -> str:
    """An expression without constructs that change its speed but not its matches."""
    return (
        expression.replace("?+", "?")
        .replace("++", "+")
        .replace(r"\p{N}{1}|", r"\p{N}|")
        .replace("'(?i:[sdmt]|ll|ve|re)", _SUFFIXES)
        .replace("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", _SUFFIXES)
    )
