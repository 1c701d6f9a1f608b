"""From a request and a model to the text the engine is given."""

from __future__ import annotations

from functools import lru_cache
from weakref import WeakKeyDictionary

import msgspec

from puna.chat import PICTURE, Prompt, Template, fit, go, jinja, pictured, plain, renderer, unthought
from puna.inference.form import form
from puna.inference.requests import ChatRequest, GenerateRequest
from puna.library import Model
from puna.types import BadRequest, Engine, Message, Options, PunaError

# Metadata keys of fill-in-the-middle tokens, newest name first (llama.cpp, src/llama-vocab.cpp).
_FILL = (
    ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
)

_LARGE_GEMMA4 = 12_000_000_000
"""Parameters."""

PICTURE_TOKENS = 768
"""What a picture is taken to need when a conversation is cut (Ollama server/prompt.go)."""

_spellings: WeakKeyDictionary[Engine, dict[int, str]] = WeakKeyDictionary()
"""Special tokens as text, known for as long as their engine lives."""

_jinja = lru_cache(maxsize=32)(jinja)
_go = lru_cache(maxsize=32)(go)


def warm() -> None:
    """Import what the first prompt needs, so that it does not wait for it. Blocks for a tenth of a second."""
    _jinja("", bos="", eos="")


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is given."""

    prompt: str | list[int]
    """Text, or token ids when it is given so or continues an earlier answer's `context`."""
    text: str
    """The text of the prompt, or of its last part."""
    images: list[bytes] = []
    """Files, in the order of their places in the text."""
    last: Message | None = None
    """The conversation's last message; none when the answer is not a message."""


async def chat_prompt(request: ChatRequest, model: Model, engine: Engine, options: Options) -> Composed:
    """The conversation, its oldest messages left out when it is longer than the context."""
    messages = [*model.messages, *request.messages]
    if form(model).thinking:
        messages = unthought(messages)
    if model.system and request.messages[0].role != "system":
        messages.insert(0, Message(role="system", content=model.system))
    prompt = Prompt(messages=messages, tools=request.offered, think=request.think)
    template = await _template(model, engine)
    return await _fitted(template, prompt, request.truncate, engine, options)


async def generate_prompt(
    request: GenerateRequest, model: Model, engine: Engine, options: Options
) -> Composed:
    """The prompt, behind an earlier answer's `context` if there is one."""
    try:
        return await _generate(request, model, engine, options)
    except PunaError as error:
        if request.template and str(error).startswith("template"):
            raise BadRequest(str(error), "template") from None
        raise


async def _generate(request: GenerateRequest, model: Model, engine: Engine, options: Options) -> Composed:
    if request.raw:
        asked = Message(role="user", content=request.prompt, images=request.images)
        text = pictured(asked)
        prompt = text if request.tokens is None else request.tokens
        return Composed(prompt=prompt, text=text, images=request.images)
    if request.suffix:
        text = await _with_gap(request, model, engine)
        return Composed(prompt=text, text=text)
    composed = await _asked(request, model, engine, options)
    if not request.context:
        return composed
    tokens = [*request.context, *await engine.tokenize(composed.text, add_bos=False)]
    return msgspec.structs.replace(composed, prompt=tokens)


async def _with_gap(request: GenerateRequest, model: Model, engine: Engine) -> str:
    """The text on both sides of the gap that the model fills."""
    template = _go(request.template or model.template or "")
    if request.template or "suffix" in template.names:
        return template.render(Prompt(prompt=request.prompt, suffix=request.suffix, think=request.think))
    before, after, middle = [await _spelled(model, engine, *keys) for keys in _FILL]
    return f"{before}{request.prompt}{after}{request.suffix}{middle}"


async def _asked(request: GenerateRequest, model: Model, engine: Engine, options: Options) -> Composed:
    """The prompt as a conversation of one turn."""
    system = request.system or model.system
    messages = [Message(role="system", content=system)] if system else []
    if request.context is None:
        messages += model.messages
    messages.append(Message(role="user", content=request.prompt, images=request.images))
    template = _go(request.template) if request.template else await _template(model, engine)
    prompt = Prompt(messages=messages, think=request.think)
    return await _fitted(template, prompt, request.truncate, engine, options)


async def _fitted(
    template: Template, prompt: Prompt, truncate: bool, engine: Engine, options: Options
) -> Composed:
    async def count(text: str) -> int:
        return len(await engine.tokenize(text)) + PICTURE_TOKENS * text.count(PICTURE)

    if truncate:
        longest = min(engine.info.num_ctx, options.num_ctx or engine.info.num_ctx)
        text, kept = await fit(template, prompt, count, longest)
    else:
        text, kept = template.render(prompt), prompt.messages
    images = [image for message in kept for image in message.images]
    if text.count(PICTURE) < len(prompt.messages[-1].images):
        raise BadRequest("the model's template has no place for images", "images")
    # A template may leave messages out, the oldest first.
    images = images[max(0, len(images) - text.count(PICTURE)) :]
    return Composed(prompt=text, text=text, images=images, last=prompt.messages[-1])


async def _template(model: Model, engine: Engine) -> Template:
    """What its maker chose, before what came with the weights."""
    if named := model.config.get("renderer"):
        return renderer(_gemma4(model) if named == "gemma4" else named)
    if model.template:
        return _go(model.template)
    if model.chat_template:
        bos = await _spelled(model, engine, "tokenizer.ggml.bos_token_id")
        eos = await _spelled(model, engine, "tokenizer.ggml.eos_token_id")
        return _jinja(model.chat_template, bos=bos, eos=eos)
    return plain()


def _gemma4(model: Model) -> str:
    """Which of two prompts a Gemma 4 was trained on, by its size (Ollama server/renderer_resolution.go)."""
    return "gemma4-large" if model.metadata.parameter_count >= _LARGE_GEMMA4 else "gemma4-small"


async def _spelled(model: Model, engine: Engine, *keys: str) -> str:
    """The text of the token that the first of these metadata keys names; empty when the model has none."""
    metadata = model.metadata
    token = next((found for key in keys if (found := metadata.get(key)) is not None), None)
    if token is None:
        return ""
    known = _spellings.setdefault(engine, {})
    if token not in known:
        known[token] = await engine.detokenize([token])
    return known[token]
