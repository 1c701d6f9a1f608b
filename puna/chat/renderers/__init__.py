"""Prompts of families whose models may lack a template: one module each, with its source in the docstring.

The texts are Ollama's. They end at the beginning of the assistant's turn, or with its begun answer in the
families where Ollama continues one.

They differ from Ollama's in four points. They keep all keywords of a tool's schema. They keep the order and
form of a call's arguments, so that the prefix cache finds the model's own text. They write JSON without HTML
escapes, as in training. System messages after an answer stay in place (`chat/notes.py`).
"""

from .renderer import Renderer

__all__ = ["Renderer"]
