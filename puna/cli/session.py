"""The state of an interactive session: the settings of `/set`, and the messages so far."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from puna.cli.guide import PARAMETERS, SET
from puna.errors import BadRequest
from puna.options import parameter

_WORDS = re.compile(r'"([^"]*)"(?!\S)|(\S+)')
"""The words of a line. A word in quotation marks may contain spaces."""

ThinkOption = bool | str | None
"""The API's `think`: on or off, a level, or None for the model's default."""


@dataclass
class Session:
    """An interactive session: its model, its settings, and the conversation so far."""

    model: str
    format: Any = None
    keep_alive: str | None = None
    verbose: bool = False
    wrap: bool = True
    history: bool = True
    system: str = ""
    think: ThinkOption = None
    think_chosen: bool = False
    """Whether the user set `think`. Otherwise every model that can think does."""
    hide_thinking: bool = False
    capabilities: frozenset[str] = frozenset()
    examples: list[dict[str, Any]] = field(default_factory=list)
    """The model's own messages: the MESSAGE lines of its Modelfile."""
    options: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def has_vision(self) -> bool:
        """The model accepts images."""
        return "vision" in self.capabilities

    @property
    def has_audio(self) -> bool:
        """The model accepts sounds."""
        return "audio" in self.capabilities

    @property
    def takes_files(self) -> bool:
        """Whether to attach files that a message names. The server refuses files of the wrong kind."""
        return self.has_vision or self.has_audio

    def use_model(self, model: str, details: dict[str, Any]) -> None:
        """Switch to `model`; `details` is its `/api/show` answer."""
        self.model = model
        self.capabilities = frozenset(details.get("capabilities") or ())
        self.examples = details.get("messages") or []
        if not self.think_chosen:
            self.think = True if "thinking" in self.capabilities else None

    def clear(self) -> None:
        """Clear the conversation, but keep the system message."""
        self.messages = [{"role": "system", "content": self.system}] if self.system else []

    def set_system(self, text: str) -> str:
        """Set the system message. It replaces a previous one if no question followed that."""
        self.system = text
        if self.messages and self.messages[-1]["role"] == "system":
            self.messages.pop()
        self.messages.append({"role": "system", "content": text})
        return "Set system message."

    def set(self, line: str) -> str:
        """Execute a "/set …" line; returns the message to print, "" for none."""
        _, name, rest = (*line.split(maxsplit=2), "", "")[:3]
        if not name:
            return SET
        if name == "system":
            return self.set_system(rest) if rest else SET
        if name == "parameter":
            return self._set_parameter(["".join(word) for word in _WORDS.findall(rest)])
        if name in ("think", "nothink"):
            return self._set_think(False if name == "nothink" else rest.split()[0] if rest else True)
        if name == "format":
            if rest != "json":
                return "Invalid or missing format. For 'json' mode use '/set format json'"
            self.format = rest
            return "Set format to 'json' mode."
        action = _SWITCHES.get(name)
        if action is None:
            return f"Unknown command '/set {name}'. Type /? for help"
        attribute, value, reply = action
        setattr(self, attribute, value)
        return reply

    def _set_think(self, think: bool | str) -> str:
        self.think, self.think_chosen = think, True
        unable = f'warning: model "{self.model}" does not support thinking output\n'
        reply = f"Set 'think' mode to '{think}'." if isinstance(think, str) else "Set 'think' mode."
        return unable * ("thinking" not in self.capabilities) + (reply if think else "Set 'nothink' mode.")

    def _set_parameter(self, words: list[str]) -> str:
        if len(words) < 2:
            return PARAMETERS
        name, *values = words
        try:
            parsed = [parameter(name, value) for value in values]
            several = [one for one in parsed if isinstance(one, list)]
            self.options[name] = [*chain.from_iterable(several)] if several else parsed[0]
        except BadRequest as error:
            return f'Couldn\'t set parameter: "{error}"'
        return f"Set parameter '{name}' to '{', '.join(values)}'"

    def create_request(self, name: str) -> dict[str, Any]:
        """The API's create request for `/save name`."""
        request: dict[str, Any] = {"model": name, "from": self.model}
        if self.system:
            request["system"] = self.system
        if self.options:
            request["parameters"] = dict(self.options)
        if messages := self.examples + self.messages:
            request["messages"] = [_as_json(message) for message in messages]
        return request

    def show(self, part: str, details: Callable[[], dict[str, Any]]) -> str:
        """The text of "/show part"; `details` requests the model's details from the server."""
        model = details()
        if part == "info":
            from puna.cli.details import details_text

            return details_text(model)
        if part == "license":
            return model.get("license") or "No license was specified for this model."
        if part == "modelfile":
            return model.get("modelfile", "")
        if part == "parameters":
            return self._parameters(model.get("parameters") or "")
        if part == "system":
            return self.system or model.get("system") or "No system message was specified for this model."
        if part == "template":
            return model.get("template") or "No prompt template was specified for this model."
        return f"Unknown command '/show {part}'. Type /? for help"

    def _parameters(self, of_model: str) -> str:
        lines = ["Model defined parameters:"]
        lines += [
            f"  {line}"
            for line in of_model.splitlines() or ["No additional parameters were specified for this model."]
        ]
        if self.options:
            lines += ["", "User defined parameters:"]
            lines += [f"  {name:30} {value}" for name, value in self.options.items()]
        return "\n".join(lines) + "\n"


def _as_json(message: dict[str, Any]) -> dict[str, Any]:
    images = message.get("images")
    encoded = [b64encode(i).decode() if isinstance(i, bytes) else i for i in images or ()]
    return message | {"images": encoded} if images else message


_SWITCHES: dict[str, tuple[str, object, str]] = {
    "history": ("history", True, ""),
    "nohistory": ("history", False, ""),
    "wordwrap": ("wrap", True, "Set 'wordwrap' mode."),
    "nowordwrap": ("wrap", False, "Set 'nowordwrap' mode."),
    "verbose": ("verbose", True, "Set 'verbose' mode."),
    "quiet": ("verbose", False, "Set 'quiet' mode."),
    "noformat": ("format", None, "Disabled format."),
}
"""`/set` words without a value: the attribute, its new value, the message."""
