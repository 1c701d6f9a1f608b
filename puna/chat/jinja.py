"""A GGUF's own chat template: Jinja, with the names that Hugging Face's transformers gives it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from puna.types import Message

from .prompt import Prompt, Template

if TYPE_CHECKING:
    from jinja2 import Template as Compiled

_ASKS_FOR_NONE = re.compile(r"content['\"]?\]?\s+is\s+(?:not\s+)?none")


def jinja(source: str, *, bos: str, eos: str) -> Template:
    """A template in Jinja's language, in a sandbox. Raises BadRequest with the line of a syntax error."""
    from .sandbox import Refusal, compiled

    def refuse(reason: object) -> None:
        raise Refusal(str(reason))

    names = {
        "bos_token": bos,
        "eos_token": eos,
        "documents": None,
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.now().strftime(form),
    }
    template, read = compiled(source, names)
    return _JinjaTemplate(template, read, none_content=bool(_ASKS_FOR_NONE.search(source)))


class _JinjaTemplate:
    def __init__(self, template: Compiled, read: frozenset[str], *, none_content: bool) -> None:
        self.names = read
        self._template = template
        self._none_content = none_content

    def render(self, prompt: Prompt) -> str:
        from .sandbox import bounded

        given: dict[str, Any] = {
            "messages": [self._message(message) for message in prompt.messages],
            "tools": prompt.tools or None,
            "add_generation_prompt": prompt.add_generation_prompt,
        }
        if prompt.think is not None:
            given["enable_thinking"] = given["thinking"] = bool(prompt.think)
        if isinstance(prompt.think, str):
            given["reasoning_effort"] = prompt.think
        return bounded(self._template, given)

    def _message(self, message: Message) -> dict[str, Any]:
        """The message in OpenAI's shape, which these templates are written for."""
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.thinking:
            turn["reasoning_content"] = turn["thinking"] = message.thinking
        if message.tool_calls:
            turn["tool_calls"] = [_call(call) for call in message.tool_calls]
            if self._none_content and not message.content:
                turn["content"] = None
        if message.tool_name:
            turn["name"] = message.tool_name
        if message.tool_call_id:
            turn["tool_call_id"] = message.tool_call_id
        return turn


class _Arguments(dict[str, Any]):
    """A call's arguments: an object to templates that take it apart, JSON text to those that print it."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)

    def __add__(self, other: str) -> str:
        return f"{self}{other}"

    def __radd__(self, other: str) -> str:
        return f"{other}{self}"


def _call(given: dict[str, Any]) -> dict[str, Any]:
    function = given.get("function") or {}
    arguments = function.get("arguments")
    arguments = _Arguments(arguments) if isinstance(arguments, dict) else arguments or _Arguments()
    call = {"type": "function", "function": {"name": function.get("name") or "", "arguments": arguments}}
    return {"id": given["id"], **call} if given.get("id") else call
