"""The type of named renderers: a function from a prompt to the pieces of its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

import msgspec

from puna.chat.notes import notes_as_user, renders_notes_in_place
from puna.chat.prompt import Prompt
from puna.errors import BadRequest
from puna.types import Message

from .declared import in_ollama_order


class Renderer:
    """A Template whose text `write` makes. `reads` names its variables beside the messages."""

    def __init__(self, write: Callable[[Prompt], Iterable[str]], *reads: str) -> None:
        self._write = write
        self.names = frozenset({"messages", *reads})

    @cached_property
    def _in_place(self) -> bool:
        def text(messages: list[Message]) -> str:
            return "".join(self._write(Prompt(messages=messages)))

        return renders_notes_in_place(text)

    def render(self, prompt: Prompt) -> str:
        if not self._in_place:
            prompt = msgspec.structs.replace(prompt, messages=notes_as_user(prompt.messages))
        try:
            if prompt.tools:
                prompt = msgspec.structs.replace(
                    prompt, tools=[in_ollama_order(tool) for tool in prompt.tools]
                )
            return "".join(self._write(prompt))
        except RecursionError:
            raise BadRequest("template: tools or arguments are nested too deeply") from None
