"""Joins a query and a document to a reranker's input.

The form comes from the GGUF file (`tokenizer.chat_template.rerank`, llama.cpp); otherwise it is that of
Hugging Face's tokenizers for pairs: begin, query, separator, document, end.
"""

from __future__ import annotations

import re

from puna.engine.budget import TOO_LONG
from puna.engine.libllama import LlamaModel
from puna.errors import BadRequest, PromptTooLong

_TEMPLATE = "tokenizer.chat_template.rerank"
_PLACEHOLDER = re.compile(r"\{(query|document)\}")


def pairs(
    model: LlamaModel, query: str, documents: list[str], *, truncate: bool, limit: int
) -> list[list[int]]:
    """The tokens of `query` with each document, whose end is truncated to `limit` tokens of both.

    Raises PromptTooLong when truncation is not allowed, BadRequest when the query leaves no room.
    """
    template = model.metadata(_TEMPLATE)
    inputs = []
    for document in documents:
        words = model.tokenize(document, add_special=False, parse_special=False)
        tokens = _pair(model, template, query, words, document)
        over = len(tokens) - limit
        if over > 0:
            if not truncate:
                raise PromptTooLong(TOO_LONG, len(tokens), limit)
            words = words[: max(0, len(words) - over)]
            # The truncated text may tokenize differently.
            tokens = _pair(model, template, query, words, model.detokenize(words))
            if len(tokens) > limit:
                raise BadRequest("the query leaves no room for a document in the context", "query")
        inputs.append(tokens)
    return inputs


def _pair(model: LlamaModel, template: str, query: str, words: list[int], document: str) -> list[int]:
    if template:
        texts = {"query": query, "document": document}
        return model.tokenize(_PLACEHOLDER.sub(lambda place: texts[place[1]], template), add_special=False)
    begin = [model.bos] if model.adds_bos else []
    separator = [model.sep] if model.adds_sep else []
    end = [model.eos] if model.adds_eos else []
    question = model.tokenize(query, add_special=False, parse_special=False)
    return [*begin, *question, *end, *separator, *words, *(end or separator)]
