"""Composes the prompt for a request and a model."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from weakref import WeakKeyDictionary

import msgspec

from puna.chat import (
    MEDIA_MARKER,
    Prompt,
    Template,
    fit,
    go,
    jinja,
    numbered,
    plain,
    render,
    renderer,
    with_markers,
    without_thinking,
)
from puna.errors import BadRequest, PunaError
from puna.inference.form import form
from puna.inference.media import Media
from puna.inference.requests import ChatInput, GenerateInput
from puna.library import Model
from puna.options import Options
from puna.types import Engine, MediaFile, Message

# Metadata keys of fill-in-the-middle tokens, newest name first (llama.cpp, src/llama-vocab.cpp).
_FILL = (
    ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
)

_token_texts: WeakKeyDictionary[Engine, dict[int, str]] = WeakKeyDictionary()
"""Special tokens as text, cached per engine."""

_jinja = lru_cache(maxsize=32)(jinja)
_go = lru_cache(maxsize=32)(go)


def warm() -> None:
    """Import what the first prompt needs. Blocks for a tenth of a second."""
    _jinja("", bos="", eos="")


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt for the engine."""

    prompt: str | list[int]
    """Text, or token ids if the request has them."""
    text: str
    """The text of the prompt, or of its last part."""
    images: list[MediaFile] = []
    """Files, in the order of their markers in the text."""
    truncated: bool = False
    """Whether the oldest messages were dropped, because they did not fit in the context."""
    last: Message | None = None
    """The conversation's last message; none when the answer is not a message."""


async def draft_prompt(request: ChatInput | GenerateInput, model: Model) -> Composed:
    """The prompt without an engine: untruncated, without begin and end tokens.

    It ends like the final prompt. Raises the errors of `compose_prompt`.
    """
    if isinstance(request, GenerateInput) and request.raw:
        return _raw(request)
    if isinstance(request, GenerateInput) and request.suffix:
        template = _fim_template(request, model)
        text = template.render(_fim_values(request)) if template else request.prompt + request.suffix
        return Composed(prompt=text, text=text)
    prompt = _conversation(request, model)
    text = await render(_template(request, model), prompt)
    return _with_images(text, prompt.messages)


async def compose_prompt(
    request: ChatInput | GenerateInput, model: Model, engine: Engine, options: Options, media: Media
) -> Composed:
    """The prompt. A conversation longer than the context loses its oldest messages.

    `media` decodes its pictures and sounds, whose tokens count, too. Raises BadRequest when the template
    refuses it or has no place for its pictures.
    """
    if isinstance(request, GenerateInput) and request.raw:
        return _raw(request)
    if isinstance(request, GenerateInput) and request.suffix:
        text = await _fim_prompt(request, model, engine)
        return Composed(prompt=text, text=text)
    bos = await _token_text(model, engine, "tokenizer.ggml.bos_token_id")
    eos = await _token_text(model, engine, "tokenizer.ggml.eos_token_id")
    template = _template(request, model, bos=bos, eos=eos)
    made = await _fit(template, _conversation(request, model), request.truncate, engine, options, media)
    if isinstance(request, ChatInput) or not request.context:
        return made
    tokens = [*request.context, *await engine.tokenize(made.text, add_bos=False)]
    return msgspec.structs.replace(made, prompt=tokens)


def _raw(request: GenerateInput) -> Composed:
    message = numbered(Message(role="user", content=request.prompt, images=request.images))
    text = with_markers(message)
    prompt = text if request.tokens is None else request.tokens
    return Composed(prompt=prompt, text=text, images=message.images)


def _conversation(request: ChatInput | GenerateInput, model: Model) -> Prompt:
    """The conversation; a single prompt is a conversation of one message."""
    if isinstance(request, ChatInput):
        messages = [*model.messages, *request.messages]
        # Nothing to continue: a template would close this turn, and the model would see an empty answer.
        if len(messages) > 1 and messages[-1] == Message(role="assistant"):
            messages.pop()
        if form(model).thinking:
            messages = without_thinking(messages)
        if model.system and request.messages[0].role != "system":
            messages.insert(0, Message(role="system", content=model.system))
        return Prompt(messages=messages, tools=request.offered, think=request.think)
    system = request.system or model.system
    messages = [Message(role="system", content=system)] if system else []
    if request.context is None:
        messages += model.messages
    messages.append(Message(role="user", content=request.prompt, images=request.images))
    return Prompt(messages=messages, think=request.think)


async def _fim_prompt(request: GenerateInput, model: Model, engine: Engine) -> str:
    """The prompt for fill-in-the-middle."""
    if template := _fim_template(request, model):
        return template.render(_fim_values(request))
    before, after, middle = [await _token_text(model, engine, *keys) for keys in _FILL]
    return f"{before}{request.prompt}{after}{request.suffix}{middle}"


def _fim_template(request: GenerateInput, model: Model) -> Template | None:
    """The template for fill-in-the-middle; None if the model's own tokens are used."""
    template = _request_template(request.template) if request.template else _go(form(model).template)
    return template if request.template or "suffix" in template.names else None


def _fim_values(request: GenerateInput) -> Prompt:
    return Prompt(prompt=request.prompt, suffix=request.suffix, think=request.think)


async def _fit(
    template: Template, prompt: Prompt, truncate: bool, engine: Engine, options: Options, media: Media
) -> Composed:
    longest = min(engine.info.num_ctx, options.num_ctx or engine.info.num_ctx)
    sizes: list[int] = []

    async def count(text: str) -> int:
        first = max(0, len(sizes) - text.count(MEDIA_MARKER))
        return len(await engine.tokenize(text)) + sum(sizes[first:])

    if truncate:
        files = [file for message in prompt.messages for file in message.images]
        sizes += await media_tokens(files, engine, media, longest)
        text, kept = await fit(template, prompt, count, longest)
    else:
        text, kept = await render(template, prompt), prompt.messages
    cut = len(kept) < len(prompt.messages)
    return msgspec.structs.replace(_with_images(text, kept), truncated=cut)


async def media_tokens(files: list[MediaFile], engine: Engine, media: Media, most: int) -> list[int]:
    """Tokens of each picture and sound. Files before those that fill `most` tokens count as that many."""
    sizes, left = [most] * len(files), most
    for at in reversed(range(len(files))):
        if left < 0:
            break
        sizes[at] = await engine.measure(await media.one(files[at]))
        left -= sizes[at]
    return sizes


def _with_images(text: str, messages: list[Message]) -> Composed:
    """A rendering of `messages`, with its pictures. It always contains the last message."""
    images = [image for message in messages for image in message.images]
    if text.count(MEDIA_MARKER) < len(messages[-1].images):
        raise BadRequest("the model's template has no place for images", "images")
    # A template may drop messages, the oldest first.
    images = images[max(0, len(images) - text.count(MEDIA_MARKER)) :]
    return Composed(prompt=text, text=text, images=images, last=messages[-1])


def _template(request: ChatInput | GenerateInput, model: Model, *, bos: str = "", eos: str = "") -> Template:
    """The request's template, else the model's renderer or Go template, else the GGUF file's."""
    if isinstance(request, GenerateInput) and request.template:
        return _request_template(request.template)
    if named := model.config.get("renderer"):
        return renderer(named, model.metadata.parameter_count)
    if go_template := form(model).template:
        return _go(go_template)
    return _jinja(model.chat_template, bos=bos, eos=eos) if model.chat_template else plain()


class _RequestTemplate(msgspec.Struct, frozen=True):
    """A request's own template, whose errors are BadRequest."""

    template: Template

    @property
    def names(self) -> frozenset[str]:
        return self.template.names

    def render(self, prompt: Prompt) -> str:
        try:
            return self.template.render(prompt)
        except PunaError as error:
            raise BadRequest(str(error), "template") from None


def _request_template(source: str) -> Template:
    try:
        return _RequestTemplate(_go(source))
    except BadRequest as error:
        raise BadRequest(str(error), "template") from None


async def _token_text(model: Model, engine: Engine, *keys: str) -> str:
    """The text of the token that the first of these metadata keys names; empty when the model has none."""
    metadata = model.metadata
    token = next((found for key in keys if (found := metadata.get(key)) is not None), None)
    if token is None:
        return ""
    known = _token_texts.setdefault(engine, {})
    if token not in known:
        text = ""
        # Files name tokens that their vocabulary lacks, such as 4294967295 for none.
        with suppress(BadRequest):
            text = await engine.detokenize([token])
        known[token] = text
    return known[token]
