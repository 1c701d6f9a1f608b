"""Named renderers: prompts of the families whose models come without a template (a Modelfile's RENDERER).

One module a family, its format's source in the docstring. The last turn is left open when it is the
assistant's; else the text ends where the assistant's turn begins.
"""

from .named import renderer

__all__ = ["renderer"]
