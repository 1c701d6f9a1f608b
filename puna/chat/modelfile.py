"""A Modelfile's TEMPLATE: a Go template with Ollama's values (template/template.go)."""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

from puna.errors import BadRequest
from puna.types import Message

from .allowance import SHORT, Allowance, allowance
from .gotemplate import FUNCTIONS, Program, TemplateNode, Trees, cut_after, names, parse, walk
from .notes import before_answers, renders_notes_in_place
from .pictures import with_markers
from .prompt import Prompt, Template
from .records import AbsentList, JsonList, ToolRecord, TurnRecord

_RESPONSE = "{{ .Response }}"


def go(source: str) -> Template:
    """A template in Go's language. Raises BadRequest `template: :line:column: …`.

    A template that reads neither .Messages nor .Response gets .Response appended.
    """
    try:
        return _parse_template(source)
    except RecursionError:
        raise BadRequest("template: max expression depth exceeded") from None


@lru_cache(maxsize=1)
def plain() -> Template:
    """The template of a model without one: the prompt unchanged."""
    return go("{{ .Prompt }}")


def _parse_template(source: str) -> _GoTemplate:
    trees = parse(source, FUNCTIONS)
    for statement in chain.from_iterable(map(walk, trees.values())):
        if isinstance(statement, TemplateNode) and statement.pipeline is None:
            raise BadRequest("undefined template specified")
    read = frozenset(name.lower() for tree in trees.values() for name in names(tree))
    if not read & {"messages", "response"}:
        trees = trees | {"": trees[""] + parse(_RESPONSE, FUNCTIONS)[""]}
        read |= {"response"}
    return _GoTemplate(source, trees, read)


class _GoTemplate:
    def __init__(self, source: str, trees: Trees, read: frozenset[str]) -> None:
        self.names = read
        self._whole = Program(source, trees)
        # The last turn ends where the model's answer begins.
        self._open = Program(source, trees | {"": cut_after(trees[""], "Response")[0]})

    def render(self, prompt: Prompt) -> str:
        try:
            return self._render(prompt)
        except RecursionError:
            raise BadRequest("template: tools or arguments are nested too deeply") from None

    def _render(self, prompt: Prompt) -> str:
        common = {
            "Response": "",
            "Think": bool(prompt.think),
            "ThinkLevel": prompt.think if isinstance(prompt.think, str) else "medium" if prompt.think else "",
            "IsThinkSet": prompt.think is not None,
        }
        allowed = allowance(prompt)
        if prompt.prompt and prompt.suffix:
            given = {"Prompt": prompt.prompt, "Suffix": prompt.suffix}
            return self._whole.execute({**given, **common}, allowed)
        if "messages" not in self.names:
            return self._turn_by_turn(_merge_turns(prompt.messages), common, allowed)
        tools = AbsentList() if prompt.tools is None else JsonList(map(ToolRecord, prompt.tools))
        leading = before_answers(prompt.messages) if self._in_place else prompt.messages
        return self._conversation(prompt.messages, _system(leading), {"Tools": tools, **common}, allowed)

    @cached_property
    def _in_place(self) -> bool:
        """Whether .Messages renders system messages after an answer. Then .System omits them."""
        common = {
            "Tools": AbsentList(),
            "Response": "",
            "Think": False,
            "ThinkLevel": "",
            "IsThinkSet": False,
        }
        return renders_notes_in_place(lambda messages: self._conversation(messages, "", common, SHORT))

    def _conversation(
        self, messages: list[Message], system: str, more: dict[str, Any], allowed: Allowance
    ) -> str:
        turns = [TurnRecord(message, content) for message, content in _merge_turns(messages)]
        return self._whole.execute({"System": system, "Messages": turns, **more}, allowed)

    def _turn_by_turn(
        self, turns: list[tuple[Message, str]], common: dict[str, Any], allowed: Allowance
    ) -> str:
        """Renders the template for each exchange of system, prompt and response. The last one stays open."""
        parts: list[str] = []
        fields = {"system": "System", "user": "Prompt", "assistant": "Response"}
        order = list(fields.values())
        exchange = dict.fromkeys(order, "")
        for message, content in turns:
            field = fields.get(message.role)
            if field is None:
                continue
            # A system text or prompt after a later part of the exchange begins the next exchange.
            if any(exchange[later] for later in order[order.index(field) + 1 :]):
                parts.append(self._whole.execute({**common, **exchange}, allowed))
                exchange = dict.fromkeys(order, "")
            exchange[field] = content
        parts.append(self._open.execute({**common, **exchange}, allowed))
        return "".join(parts)


def _system(messages: list[Message]) -> str:
    return "\n\n".join(with_markers(message) for message in messages if message.role == "system")


def _merge_turns(messages: list[Message]) -> list[tuple[Message, str]]:
    """The messages and their text. Merges consecutive messages of one role, except tool results."""
    turns: list[tuple[Message, str]] = []
    for message in messages:
        if turns and turns[-1][0].role == message.role != "tool":
            first, content = turns[-1]
            turns[-1] = (first, f"{content}\n\n{with_markers(message)}")
        else:
            turns.append((message, with_markers(message)))
    return turns
