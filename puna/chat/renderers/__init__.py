"""Prompts of the families whose models may come without a template: one module a prompt's text, its source in
the docstring.

The texts are those that Ollama makes. They end where the assistant's turn begins, or with its begun answer in
the families that Ollama lets go on with one.

Unlike Ollama's, they keep what a tool's schema says beyond Ollama's fields, and a call's arguments in the
order and the form in which they came (what the model wrote is then found in the KV cache again), and write
JSON without escapes for HTML, as the models were trained on it.
System messages behind an answer stay in their place (`chat/noted.py`).
"""

from .renderer import Renderer

__all__ = ["Renderer"]
