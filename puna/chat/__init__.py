"""Messages to prompt text: a model's Jinja or Go template or a named renderer, cut to fit a context.

Nothing here does I/O; a template is made once and may be kept and shared.
"""

from .fit import fit
from .jinja import jinja
from .modelfile import go, plain
from .prompt import Prompt, Template
from .renderers import renderer

__all__ = ["Prompt", "Template", "fit", "go", "jinja", "plain", "renderer"]
