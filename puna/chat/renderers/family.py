"""What every named renderer is: a function from a prompt to the pieces of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from puna.chat.prompt import Prompt
from puna.types import BadRequest

from .declared import ordered


@dataclass(frozen=True)
class Family:
    """A Template whose text `write` makes; besides the messages it minds what `reads` names."""

    write: Callable[[Prompt], Iterable[str]]
    reads: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return self.reads | {"messages"}

    def render(self, prompt: Prompt) -> str:
        try:
            if prompt.tools:
                prompt = msgspec.structs.replace(prompt, tools=[ordered(tool) for tool in prompt.tools])
            return "".join(self.write(prompt))
        except RecursionError:
            raise BadRequest("template: tools or arguments are nested too deeply") from None
