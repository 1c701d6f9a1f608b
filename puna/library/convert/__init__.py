"""Converts Hugging Face folders (config.json, tokenizer, safetensors) and PEFT adapters to GGUF files.

`families` has one module per family; `checkpoint` reads, `tensors` reshapes and `writing` writes, in parts.
"""

from puna.library.convert.adapters import convert_adapter
from puna.library.convert.conversion import convert, convert_projector

__all__ = ["convert", "convert_adapter", "convert_projector"]
