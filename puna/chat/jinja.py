"""A GGUF's own chat template: Jinja, with the variables of Hugging Face's transformers."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from puna.errors import BadRequest, PunaError
from puna.types import Message

from .allowance import SHORT, allowance
from .declarations import Tool
from .detect import family_of
from .notes import notes_as_user
from .prompt import Prompt, Template, is_continued
from .shape import PrintedList, Shape, shape_of, strictest_form

if TYPE_CHECKING:
    from jinja2 import Template as Compiled

_EFFORT = re.compile(r"""(['"])(none|no_think|max)\1""", re.IGNORECASE)
"""Levels of reasoning that only some templates support. Such templates contain them as literals."""

_SWITCHES = ("enable_thinking", "thinking", "reasoning")
"""The variable for whether to reason: in most templates, in DeepSeek's, in GigaChat's and Cohere's."""

_EFFORT_NAMES = ("reasoning_effort", "reasoning_strength", "thinking_effort")
"""The variable for the level: in most templates, in Glimmer's, in Kimi K3's."""

_CUT = "\N{OBJECT REPLACEMENT CHARACTER}puna-cut\N{OBJECT REPLACEMENT CHARACTER}"
"""Appended to a last message that the model should continue. The prompt ends where it appears."""


def jinja(source: str, *, bos: str, eos: str) -> Template:
    """A Jinja template in a sandbox. Raises BadRequest with the line of a syntax error.

    If the template refuses a conversation or fails, the conversation is rendered in `strictest_form`: first
    with later system messages in place, then with all of them in front. A last message of the assistant stays
    open.
    """
    from .sandbox import TemplateRefusal, compile_template, render

    def refuse(reason: object) -> None:
        raise TemplateRefusal(str(reason))

    names = {
        "bos_token": bos,
        "eos_token": eos,
        "documents": None,
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.now().strftime(form),
    }
    template, read = compile_template(source, names)

    def probe(messages: list[dict[str, Any]], tools: list[Any] | None) -> str:
        return render(template, _given(messages, tools, add_generation_prompt=True), SHORT)

    efforts = frozenset(level.lower() for _, level in _EFFORT.findall(source))
    shape = shape_of(source, probe, family_of("", source, "").answer_text)
    return _JinjaTemplate(template, read, shape, efforts)


class _JinjaTemplate:
    def __init__(
        self, template: Compiled, read: frozenset[str], shape: Shape, efforts: frozenset[str]
    ) -> None:
        self.names = read
        self._template = template
        self._shape = shape
        self._efforts = efforts

    def render(self, prompt: Prompt) -> str:
        given = prompt.messages
        try:
            return self._render(prompt)
        except PunaError as refusal:
            refused = refusal
        for messages in (strictest_form(notes_as_user(given)), strictest_form(given)):
            if messages != prompt.messages:
                prompt = msgspec.structs.replace(prompt, messages=messages)
                try:
                    return self._render(prompt)
                except PunaError as refusal:
                    refused = refusal
        raise refused

    def _render(self, prompt: Prompt) -> str:
        if prompt.add_generation_prompt and is_continued(prompt.messages):
            *before, last = prompt.messages
            marked = msgspec.structs.replace(prompt, messages=[*before, _mark_end(last)])
            text, cut, _ = self._text(marked, add_generation_prompt=False).rpartition(_CUT)
            if cut:
                return text
            if not last.content:  # the template does not show thinking
                prompt = msgspec.structs.replace(prompt, messages=before)
        return self._text(prompt, add_generation_prompt=prompt.add_generation_prompt)

    def _text(self, prompt: Prompt, *, add_generation_prompt: bool) -> str:
        from .sandbox import render

        try:
            tools = self._shape.tools(prompt.tools)
        except RecursionError:
            raise BadRequest("template: tools are nested too deeply") from None
        given = _given(
            self._shape.messages(prompt.messages), tools, add_generation_prompt=add_generation_prompt
        )
        if prompt.think is not None:
            given |= dict.fromkeys(_SWITCHES, bool(prompt.think))
            given["thinking_mode"] = "enabled" if prompt.think else "disabled"  # MiniMax-M3
            if effort := self._effort(prompt.think):
                given |= dict.fromkeys(_EFFORT_NAMES, effort)
        return render(self._template, given, allowance(prompt))

    def _effort(self, think: bool | str) -> str | None:
        """The template's name for the level of reasoning; None for its default."""
        if not think:
            return next((level for level in ("none", "no_think") if level in self._efforts), None)
        if think is True:
            return "high" if "no_think" in self._efforts else None  # Hy3's default is not to think
        return "high" if think == "max" and "max" not in self._efforts else think


def _given(
    messages: list[dict[str, Any]], tools: list[Tool] | None, *, add_generation_prompt: bool
) -> dict[str, Any]:
    """The variables of every template."""
    from .sandbox import ReadOnlyList

    return {
        "messages": ReadOnlyList(messages),
        "tools": ReadOnlyList(tools) if tools else tools,
        "add_generation_prompt": add_generation_prompt,
        # FireFunction's names.
        "functions": PrintedList(tool["function"] for tool in tools or () if "function" in tool),
        "datetime": f"{datetime.now():%b %d %Y}",
    }


def _mark_end(message: Message) -> Message:
    if message.content:
        return msgspec.structs.replace(message, content=message.content + _CUT)
    return msgspec.structs.replace(message, thinking=message.thinking + _CUT)
