"""Llama 3 without a pretokenizer, or with the wrong end (Ollama llama/compat, handle_llama3_metadata)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, long_list, number, without
from puna.gguf import GGUFFile, i32, string, u32

_PRE, _EOS, _EOT = (f"tokenizer.ggml.{key}" for key in ("pre", "eos_token_id", "eot_token_id"))
_END_OF_TEXT, _START_HEADER, _END_OF_TURN = 128001, 128006, 128009


def text(file: GGUFFile) -> Edit | None:
    """Corrects the pretokenizer and the end tokens of a chat model; None for any other file."""
    unsplit = file.metadata.get(_PRE) in (None, "", "default")
    if (not unsplit and number(file, _EOS) != _END_OF_TEXT) or not _is_chat(file):
        return None
    values = {"tokenizer.ggml.eos_token_ids": i32([_END_OF_TURN])}
    if unsplit:
        values[_PRE] = string("llama-bpe")
    for key in (_EOS, _EOT):
        if number(file, key, _END_OF_TEXT) == _END_OF_TEXT:
            values[key] = u32(_END_OF_TURN)
    return Edit(without(file), values)


def _is_chat(file: GGUFFile) -> bool:
    tokens = long_list(file, "tokenizer.ggml.tokens")
    if len(tokens) <= _END_OF_TURN or tokens[_END_OF_TURN] != "<|eot_id|>":
        return False
    template = file.metadata.chat_template
    return tokens[_START_HEADER] == "<|start_header_id|>" or "<|eot_id|>" in template
