"""Tokenizers: byte-level BPE, SentencePiece and WordPiece, in llama.cpp "gpt2", "llama" and "bert".

`read_vocabulary` detects which of them a checkpoint has.
"""

from __future__ import annotations

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.vocabulary import bytelevel, sentencepiece, wordpiece
from puna.library.convert.vocabulary.special import add_special
from puna.library.convert.vocabulary.tokens import Vocabulary

__all__ = ["Vocabulary", "read_vocabulary"]


def read_vocabulary(checkpoint: Checkpoint, size: int) -> Vocabulary:
    """The tokenizer of `checkpoint` for a model whose embedding has `size` rows.

    tokenizer.json decides if it exists; SentencePiece's own file adds what that lacks.
    Raises BadRequest naming the file, for a tokenizer that llama.cpp lacks.
    """
    tokenizer = checkpoint.json("tokenizer.json")
    model = tokenizer.section("model")
    kind = model.string("type", default="BPE" if "merges" in model.values else "")
    if kind == "BPE" and bytelevel.is_byte_level(tokenizer):
        vocabulary = bytelevel.read(tokenizer, size)
    elif kind == "WordPiece" or (not kind and checkpoint.has("vocab.txt")):
        vocabulary = wordpiece.read(checkpoint, tokenizer, size)
    elif checkpoint.has("tokenizer.model"):
        vocabulary = sentencepiece.read(checkpoint, tokenizer, size)
    elif kind == "BPE":
        vocabulary = sentencepiece.read_bpe(tokenizer, size)
    elif kind:
        raise BadRequest(f"tokenizer.json: a {kind} tokenizer cannot be converted")
    else:
        raise BadRequest("unknown tokenizer: there is neither tokenizer.json nor tokenizer.model")
    vocabulary.fill(size)
    add_special(vocabulary, checkpoint, tokenizer)
    return vocabulary
