"""A model's family, template and chat capabilities."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from puna.chat import Family, can_call_tools, can_think, family_named, family_of, jinja_has_more_features
from puna.library import Model


class ChatForm(NamedTuple):
    """How a model's prompts are rendered, and whether they support tools and thinking."""

    family: Family
    template: str
    """Its Go template, if prompts are rendered by one."""
    tools: bool
    thinking: bool


def form(model: Model) -> ChatForm:
    """The form of `model`. Raises LoadFailed."""
    config = model.config
    found = _form(
        config.get("parser") or config.get("renderer") or "",
        _go_template(model),
        model.chat_template or "",
        model.architecture,
    )
    listed = config.get("capabilities") or ()
    return found._replace(
        tools=found.tools or "tools" in listed, thinking=found.thinking or "thinking" in listed
    )


def _go_template(model: Model) -> str:
    """The Go template to render with; "" if the GGUF file's Jinja template is used."""
    go, jinja = model.template or "", model.chat_template or ""
    if model.go_first or not (go and jinja):
        return go
    if model.go_first is None:
        chosen = model.config.get("renderer") or model.config.get("parser")
        if (
            chosen
            or family_of("", go, model.architecture).always_thinks
            or not jinja_has_more_features(jinja, go)
        ):
            return go
    return ""


def capabilities(model: Model) -> list[str]:
    """The capabilities of `model`, in Ollama's words (types/model/capability.go). Raises LoadFailed."""
    found = model.capabilities()
    if "completion" not in found:
        return found
    spoken = form(model)
    more = [name for name in ("tools", "thinking") if getattr(spoken, name) and name not in found]
    return [*found, *more]


@lru_cache(maxsize=4096)
def _form(name: str, go: str, jinja: str, architecture: str) -> ChatForm:
    template = go or jinja
    family = family_of(name, template, architecture)
    if found := family_named(name):
        return ChatForm(family, go, found[1].tools, found[1].thinks)
    return ChatForm(family, go, can_call_tools(template), can_think(template) or family.always_thinks)
