"""Small tokenizers of every kind, trained on the spot, as the files of a Hugging Face folder."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXTS = (
    "The quick brown fox jumps over the lazy dog; it's 12345 o'clock, isn't it?",
    "人工智能正在改变世界。你好，世界！今天是2024年5月17日。",
    "混合 text with 中文 and English，以及 emoji 🦙🚀 and naïve café déjà-vu.",
    "def f(x):\n    return x ** 2\n\n\nprint(f(3))  # comment\t\tend",
    "  leading and   many    spaces  \n \n\n trailing  ",
    "Привет, мир! こんにちは世界 안녕하세요 नमस्ते",
    "WE'LL don't CamelCaseWords i18n 3.14159 1,000,000 ...!!! ???",
    "<|im_start|>user\nhello<|im_end|> and so on",
)
WORDS = [text for text in TEXTS for _ in range(3)] + [
    "the cat sat on the mat, hello hello world 世界 你好"
] * 5

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = GPT4O.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace("{1,3}", "")
QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)


def cut_by(*expressions: str) -> Any:
    splits = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions]
    return pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


CUTTERS: dict[str, Any] = {
    "llama-bpe": cut_by(LLAMA3),
    "qwen2": cut_by(QWEN2),
    "qwen35": cut_by(QWEN35),
    "gpt-4o": cut_by(GPT4O),
    "tekken": cut_by(TEKKEN),
    "deepseek-v3": cut_by(*DEEPSEEK3),
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}


def byte_level(folder: Path, cutter: str = "llama-bpe", *, size: int = 500, first: str = "") -> Tokenizer:
    """Write a byte-level BPE whose text is cut as `cutter` says; `first` is put before every text."""
    special = [AddedToken(text, special=True) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    tokenizer = Tokenizer(models.BPE(ignore_merges=cutter in ("llama-bpe", "tekken")))
    tokenizer.pre_tokenizer = CUTTERS[cutter]
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 5, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken("<think>", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    value = json.loads((folder / "tokenizer.json").read_text())
    if first:
        piece, rest = {"SpecialToken": {"id": first, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
        ids = {first: {"id": first, "ids": [tokenizer.token_to_id(first)], "tokens": [first]}}
        value["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [piece, rest],
            "pair": [piece, rest, rest],
            "special_tokens": ids,
        }
        (folder / "tokenizer.json").write_text(json.dumps(value))
    settings = {
        "bos_token": "<|endoftext|>",
        "eos_token": {"content": "<|im_end|>", "special": True},
        "pad_token": "<|endoftext|>",
        "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def sentencepiece(folder: Path, *, prefix: bool = True, size: int = 600, own_file: bool = True) -> Tokenizer:
    """Write a SentencePiece BPE: tokenizer.json and, if `own_file`, tokenizer.model with the same pieces."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[^▁]+|▁+"), "isolated")
    trained.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=size - 263, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    texts = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    texts += [text for text, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]
    ids = {text: at for at, text in enumerate(texts)}
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<unk>", "<s>", "</s>")])
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", normalized=False, special=True)])
    tokenizer.add_tokens([AddedToken("<|im_end|>", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {
            str(ids_at): {"content": text, "special": special}
            for text, special in (("<unk>", True), ("<s>", True), ("</s>", True), ("<|im_start|>", True))
            if (ids_at := tokenizer.token_to_id(text)) is not None
        },
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if own_file:
        ranks = {left + right: -float(rank) for rank, (left, right) in reversed(list(enumerate(merges)))}
        pieces = b"".join(_piece(text, ranks.get(text, 0.0)) for text in texts)
        normalizer = _field(3, 0, int(prefix))
        (folder / "tokenizer.model").write_bytes(pieces + _field(3, 2, normalizer))
    return tokenizer


def _piece(text: str, score: float) -> bytes:
    kind = {"<unk>": 2, "<s>": 3, "</s>": 3}.get(text, 6 if text.startswith("<0x") else 1)
    raw = _field(1, 2, text.encode()) + b"\x15" + struct.pack("<f", score)
    return _field(1, 2, raw + (_field(3, 0, kind) if kind != 1 else b""))


def _field(number: int, wire: int, value: bytes | int) -> bytes:
    key = _varint(number << 3 | wire)
    return key + (_varint(value) if isinstance(value, int) else _varint(len(value)) + value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
