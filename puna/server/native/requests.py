"""The bodies of native requests (Ollama api/types.go) and how their fields are read. null is "left out"."""

from __future__ import annotations

from typing import Any

import msgspec

from puna.inference import Think
from puna.settings import FOREVER, parse_duration
from puna.types import BadRequest, Message


class Part(msgspec.Struct):
    """A piece of a message's content: text, or an image."""

    type: str
    text: str | None = None


class MessageBody(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None
    thinking: str | None = None
    images: list[bytes] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class _ModelBody(msgspec.Struct, kw_only=True):
    model: str | None = None
    name: str | None = None
    """What `model` was called once."""

    @property
    def named(self) -> str:
        """The model asked for. Raises BadRequest when there is none."""
        if found := self.model or self.name:
            return found
        raise BadRequest("model is required")


class _RunBody(_ModelBody, kw_only=True):
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None


class _TextBody(_RunBody, kw_only=True):
    stream: bool | None = None
    format: Any = None
    think: bool | str | None = None
    truncate: bool | None = None
    shift: bool | None = None


class ChatBody(_TextBody, kw_only=True):
    messages: list[MessageBody] | None = None
    tools: list[dict[str, Any]] | None = None


class GenerateBody(_TextBody, kw_only=True):
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[bytes] | None = None


class EmbedBody(_RunBody, kw_only=True):
    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: int | None = None


class EmbeddingsBody(_RunBody, kw_only=True):
    prompt: str | None = None


class PullBody(_ModelBody, kw_only=True):
    stream: bool | None = None


class ShowBody(_ModelBody, kw_only=True):
    verbose: bool | None = None


class CreateBody(_ModelBody, kw_only=True):
    stream: bool | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    draft_files: dict[str, str] | None = None
    template: str | None = None
    license: str | list[str] | None = None
    system: str | None = None
    parameters: dict[str, Any] | None = None
    messages: list[MessageBody] | None = None
    quantize: str | None = None
    quantization: str | None = None
    """What `quantize` was called once."""
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    info: dict[str, Any] | None = None


class DeleteBody(_ModelBody, kw_only=True):
    pass


class CopyBody(msgspec.Struct, kw_only=True):
    source: str = ""
    destination: str = ""


_ROLES = ("system", "user", "assistant", "tool")
_IMAGES = ("image", "image_url")
_LEVELS = ("low", "medium", "high", "max")


def seconds(keep_alive: float | str | None) -> float | None:
    """How long a model stays: seconds, a duration such as "5m", negative for ever, None for the default.

    Raises BadRequest with Go's wording.
    """
    if isinstance(keep_alive, str):
        try:
            return parse_duration(keep_alive)
        except ValueError as error:
            raise BadRequest(str(error)) from None
    if keep_alive is None:
        return None
    return FOREVER if keep_alive < 0 else float(keep_alive)


def thinking(think: bool | str | None) -> Think:
    """Whether, or how much, the model thinks. Raises BadRequest for an unknown level."""
    if isinstance(think, str) and think not in _LEVELS:
        raise BadRequest(
            f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)'
        )
    return think  # pyright: ignore[reportReturnType]


def message(body: MessageBody) -> Message:
    """A turn with its role in lower case and its text parts joined by line breaks. Raises BadRequest."""
    role = body.role.lower()
    if role not in _ROLES:
        raise BadRequest(f'invalid role "{body.role}": must be one of {", ".join(_ROLES)}')
    content, images = body.content or "", body.images or []
    if not isinstance(content, str):
        parts = content
        content = "\n".join(part.text or "" for part in parts if part.type == "text")
        # Where the bytes are does not matter: no model can read them yet, and the refusal counts them.
        images = images + [b"" for part in parts if part.type in _IMAGES]
        for part in parts:
            if part.type != "text" and part.type not in _IMAGES:
                raise BadRequest(f'invalid content part type "{part.type}": must be text or image')
    return Message(
        role=role,
        content=content,
        thinking=body.thinking or "",
        images=images,
        tool_calls=body.tool_calls or [],
        tool_name=body.tool_name or "",
        tool_call_id=body.tool_call_id or "",
    )
