"""SentencePiece: its own file (a protocol buffer) or, without that, the tokenizer.json made from it.

Format: google/sentencepiece, src/sentencepiece_model.proto; protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.vocabulary.bytelevel import merges
from puna.library.convert.vocabulary.tokens import TokenType, Vocabulary, added_tokens, tokens_by_id

_FILE = "tokenizer.model"
_PIECES, _NORMALIZER = 1, 3  # fields of ModelProto
_TEXT, _SCORE, _TYPE = 1, 2, 3  # fields of a piece
_PREFIX = 3  # NormalizerSpec.add_dummy_prefix
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types

_PREFIX_KEY = "tokenizer.ggml.add_space_prefix"


def read(checkpoint: Checkpoint, tokenizer: Config, size: int) -> Vocabulary:
    """The vocabulary in tokenizer.model with the additions of other files. Raises BadRequest."""
    vocabulary = Vocabulary("llama", _FILE)
    prefix = True
    raw = (checkpoint.folder / _FILE).read_bytes()
    try:
        count = 0
        for field, value in _fields(raw):
            if field == _PIECES and isinstance(value, bytes):
                if count < size:
                    _put_piece(vocabulary, count, value)
                count += 1
            elif field == _NORMALIZER and isinstance(value, bytes):
                prefix = bool(dict(_fields(value)).get(_PREFIX, True))
    except (ValueError, struct.error):
        raise BadRequest(f"{_FILE} is damaged: it is no SentencePiece model") from None
    if not count:
        raise BadRequest(f"{_FILE} is damaged: it has no pieces")
    for at, text in tokens_by_id(
        "added_tokens.json", checkpoint.json("added_tokens.json").values or {"": 0}, 2**31
    ):
        if text and at < size:
            vocabulary.add(at, text, special=False)
    settings = checkpoint.json("tokenizer_config.json")
    for at, text, special in _decoder(settings) + added_tokens(tokenizer, size):
        if at < size:
            vocabulary.add(at, text, special=special)
    setting = settings.get("add_prefix_space")
    vocabulary.extra[_PREFIX_KEY] = setting if isinstance(setting, bool) else prefix
    return vocabulary


def read_bpe(tokenizer: Config, size: int) -> Vocabulary:
    """The vocabulary in a tokenizer.json of SentencePiece's kind ("▁" for spaces, bytes as "<0x0A>").

    llama.cpp merges by the score of the result: the negated rank of the first merge that produces it.
    """
    model = tokenizer.section("model")
    ranks: dict[str, float] = {}
    for rank, (left, right) in enumerate(merges(model)):
        ranks.setdefault(left + right, -float(rank))
    vocabulary = Vocabulary("llama", tokenizer.file)
    unknown = model.get("unk_token")
    for at, text in tokens_by_id(tokenizer.file, model.get("vocab"), size):
        kind = (
            TokenType.BYTE if _is_byte(text) else TokenType.UNKNOWN if text == unknown else TokenType.NORMAL
        )
        vocabulary.put(at, text, kind, ranks.get(text, 0.0))
    for at, text, special in added_tokens(tokenizer, size):
        if text != unknown:
            vocabulary.add(at, text, special=special)
    vocabulary.extra[_PREFIX_KEY] = _adds_space_prefix(tokenizer)
    return vocabulary


def _put_piece(vocabulary: Vocabulary, at: int, raw: bytes) -> None:
    fields = dict(_fields(raw))
    text, score = fields.get(_TEXT, b""), fields.get(_SCORE, b"\0\0\0\0")
    kind = TokenType(fields.get(_TYPE, TokenType.NORMAL))
    if not isinstance(text, bytes) or not isinstance(score, bytes):
        raise ValueError("a piece is of the wrong types")
    token = text.decode()
    if kind == TokenType.USER_DEFINED:
        vocabulary.add(at, token, special=False)
    else:
        vocabulary.put(at, token, kind, struct.unpack("<f", score)[0])


def _decoder(settings: Config) -> list[tuple[int, str, bool]]:
    """The id, text and "special" of each token in tokenizer_config.json's added_tokens_decoder."""
    try:
        return [
            (int(at), str(entry["content"]), bool(entry.get("special")))
            for at, entry in settings.section("added_tokens_decoder").values.items()
            if int(at) >= 0
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise settings.error("added_tokens_decoder", "has a token that is not described") from None


def _adds_space_prefix(tokenizer: Config) -> bool:
    """Whether a space is put before text: by a normalizer, or by the step that turns spaces into "▁"."""
    normalizer, cutter = tokenizer.section("normalizer").values, tokenizer.section("pre_tokenizer").values
    parts = [normalizer, cutter]
    for part in (normalizer.get("normalizers"), cutter.get("pretokenizers")):
        parts += [step for step in part if isinstance(step, dict)] if isinstance(part, list) else []
    return any(
        part.get("type") == "Prepend"
        or (
            part.get("type") == "Metaspace"
            and part.get("prepend_scheme", "always" if part.get("add_prefix_space", True) else "never")
            != "never"
        )
        for part in parts
    )


def _is_byte(text: str) -> bool:
    return len(text) == 6 and text.startswith("<0x") and text.endswith(">")


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and value of each field of a message. Raises ValueError for an invalid one."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            length, at = _varint(raw, at)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"wire type {wire}")
        if length > len(raw) - at:
            raise ValueError("a field is longer than the file")
        yield key >> 3, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            break
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has no end")
