"""WordPiece (BERT's), from vocab.txt or tokenizer.json; spelling of tokens: llama.cpp's WPM vocabulary."""

from __future__ import annotations

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.vocabulary.tokens import TokenType, Vocabulary, added, numbered
from puna.types import BadRequest

SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "bos": "[CLS]", "eos": "[SEP]", "sep": "[SEP]", "mask": "[MASK]"}
_LOWERCASE = "tokenizer.ggml.normalizer.lowercase"
_ACCENTS = "tokenizer.ggml.normalizer.strip_accents"


def read(checkpoint: Checkpoint, tokenizer: Config, size: int) -> Vocabulary:
    """The vocabulary for `size` tokens. Raises BadRequest."""
    if tokenizer.values:
        file, ids = tokenizer.file, tokenizer.section("model").get("vocab")
    else:
        file, ids = "vocab.txt", _lines(checkpoint)
    entries = numbered(file, ids, size)
    known = {text: at for at, text in entries}
    lacking = [text for text in SPECIAL.values() if text not in known and text != SPECIAL["mask"]]
    if lacking:
        raise BadRequest(f"{file} lacks the special token {lacking[0]} of BERT")
    control = set(SPECIAL.values()) | {text for _, text, special in added(tokenizer, size) if special}
    vocabulary = Vocabulary("bert", file, pre="jina-v2-en")
    for at, text in entries:
        kind = TokenType.CONTROL if text in control else TokenType.NORMAL
        vocabulary.put(at, text if text in control else spelled(text), kind)
    for name, text in SPECIAL.items():
        key = {"unk": "unknown", "pad": "padding", "sep": "seperator"}.get(
            name, name
        )  # so spelled in the format
        if text in known:
            vocabulary.extra[f"tokenizer.ggml.{key}_token_id"] = known[text]
    _add_normalizer(vocabulary, checkpoint, tokenizer)
    return vocabulary


def spelled(token: str) -> str:
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
    """Whether capitals and accents count; libllama takes BERT to be uncased unless told otherwise."""
    normalizer = tokenizer.section("normalizer")
    lowercase = normalizer.get("lowercase")
    if not isinstance(lowercase, bool):
        lowercase = checkpoint.json("tokenizer_config.json").get("do_lower_case")
    if isinstance(lowercase, bool) and not lowercase:
        vocabulary.extra[_LOWERCASE] = False
        vocabulary.extra[_ACCENTS] = normalizer.get("strip_accents") is True
