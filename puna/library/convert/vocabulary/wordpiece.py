"""WordPiece (BERT's), from vocab.txt or tokenizer.json; tokens are spelled as in llama.cpp's WPM."""

from __future__ import annotations

from typing import Any

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.vocabulary.tokens import TokenType, Vocabulary, added_tokens, tokens_by_id

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "bos": "[CLS]", "eos": "[SEP]", "sep": "[SEP]", "mask": "[MASK]"}
_STEPS = ("Lowercase", "StripAccents", "NFD")
"""Normalizer steps of tokenizer.json that WordPiece can be set to do; it strips accents after NFD."""
_SETTINGS = {
    "lowercase": "do_lower_case",
    "strip_accents": "strip_accents",
    "handle_chinese_chars": "tokenize_chinese_chars",
}
"""Their names in tokenizer_config.json."""


def read(checkpoint: Checkpoint, tokenizer: Config, size: int) -> Vocabulary:
    """The vocabulary for `size` tokens. Raises BadRequest."""
    if tokenizer.values:
        file, ids = tokenizer.file, tokenizer.section("model").get("vocab")
    else:
        file, ids = "vocab.txt", _lines(checkpoint)
    entries = tokens_by_id(file, ids, size)
    ids_by_text = {text: at for at, text in entries}
    lacking = [text for text in SPECIAL.values() if text not in ids_by_text and text != SPECIAL["mask"]]
    if lacking:
        raise BadRequest(f"{file} lacks the special token {lacking[0]} of BERT")
    control = set(SPECIAL.values()) | {text for _, text, special in added_tokens(tokenizer, size) if special}
    vocabulary = Vocabulary("bert", file, pre="jina-v2-en")
    for at, text in entries:
        kind = TokenType.CONTROL if text in control else TokenType.NORMAL
        vocabulary.put(at, text if text in control else llama_spelling(text), kind)
    for name, text in SPECIAL.items():
        key = {"unk": "unknown", "pad": "padding", "sep": "seperator"}.get(
            name, name
        )  # so spelled in the format
        if text in ids_by_text:
            vocabulary.extra[f"tokenizer.ggml.{key}_token_id"] = ids_by_text[text]
    _add_normalizer(vocabulary, checkpoint, tokenizer)
    return vocabulary


def llama_spelling(token: str) -> str:
    """A WordPiece token as llama.cpp spells it: a word begins with "▁", a continuation is bare.

    >>> spelled("play"), spelled("##ing"), spelled("[unused1]")
    ('▁play', 'ing', '[unused1]')
    """
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else "▁" + token


def _lines(checkpoint: Checkpoint) -> dict[str, int]:
    try:
        lines = (checkpoint.folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise BadRequest(f"cannot read vocab.txt: {error}") from None
    ids = {line: at for at, line in enumerate(lines)}
    if len(ids) < len(lines):
        twice = next(line for at, line in enumerate(lines) if ids[line] != at)
        raise BadRequest(f"vocab.txt has the token {twice!r} twice")
    return ids


def _add_normalizer(vocabulary: Vocabulary, checkpoint: Checkpoint, tokenizer: Config) -> None:
    """Add how text is normalised, from tokenizer.json, else from tokenizer_config.json.

    libllama reads the first two keys, and assumes an uncased BERT without them. The others are Puna's own,
    written only when they differ from BERT's defaults.
    """
    settings = checkpoint.json("tokenizer_config.json")
    values = (_normalizer(tokenizer) if tokenizer.values else {}) or {
        ours: settings.get(theirs) for ours, theirs in _SETTINGS.items()
    }
    values = {name: value for name, value in values.items() if isinstance(value, bool)}
    if "lowercase" in values:
        values.setdefault("strip_accents", values["lowercase"])
    for name in ("handle_chinese_chars", "clean_text"):
        if values.get(name):
            del values[name]
    vocabulary.extra |= {f"tokenizer.ggml.normalizer.{name}": value for name, value in values.items()}


def _normalizer(tokenizer: Config) -> dict[str, Any]:
    """BertNormalizer's settings, or those of equivalent steps. Raises BadRequest."""
    top = tokenizer.section("normalizer").values
    if top.get("type") == "BertNormalizer":
        return top
    inner: Any = top.get("normalizers") if top.get("type") == "Sequence" else [top] if top else []
    kinds = [str(step.get("type")) if isinstance(step, dict) else "" for step in inner or ()]
    if unknown := [kind for kind in kinds if kind not in _STEPS]:
        raise tokenizer.error("normalizer", f'has the step "{unknown[0]}", which cannot be converted')
    steps = {"lowercase": "Lowercase" in kinds, "strip_accents": "StripAccents" in kinds}
    return {**steps, "handle_chinese_chars": False, "clean_text": False}
