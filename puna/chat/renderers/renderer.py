"""What every named renderer is: a function from a prompt to the pieces of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from puna.chat.prompt import Prompt
from puna.types import BadRequest

from .declared import ordered


class Renderer:
    """A Template whose text `write` makes; besides the messages it reads what `reads` names."""

    def __init__(self, write: Callable[[Prompt], Iterable[str]], *reads: str) -> None:
        self._write = write
        self.names = frozenset({"messages", *reads})

    def render(self, prompt: Prompt) -> str:
        try:
            if prompt.tools:
                prompt = msgspec.structs.replace(prompt, tools=[ordered(tool) for tool in prompt.tools])
            return "".join(self._write(prompt))
        except RecursionError:
            raise BadRequest("template: tools or arguments are nested too deeply") from None
