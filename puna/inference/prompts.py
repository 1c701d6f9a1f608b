"""From a request and a model to the text the engine is given."""

from __future__ import annotations

from functools import lru_cache
from weakref import WeakKeyDictionary

from puna.chat import Prompt, Template, fit, go, jinja, plain, renderer
from puna.inference.requests import ChatRequest, GenerateRequest
from puna.library import Model
from puna.types import Engine, Message, Options

# Metadata keys of fill-in-the-middle tokens, newest name first (llama.cpp, src/llama-vocab.cpp).
_FILL = (
    ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
    ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
    ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
)

_LARGE_GEMMA4 = 12_000_000_000
"""Parameters."""

_spellings: WeakKeyDictionary[Engine, dict[int, str]] = WeakKeyDictionary()
"""Special tokens as text, known for as long as their engine lives."""

_jinja = lru_cache(maxsize=32)(jinja)
_go = lru_cache(maxsize=32)(go)


def warm() -> None:
    """Import what the first prompt needs, so that it does not wait for it. Blocks for a tenth of a second."""
    _jinja("", bos="", eos="")


async def chat_prompt(request: ChatRequest, model: Model, engine: Engine, options: Options) -> str:
    """The conversation as text, its oldest messages left out when it is longer than the context."""
    messages = [*model.messages, *request.messages]
    if model.system and request.messages[0].role != "system":
        messages.insert(0, Message(role="system", content=model.system))
    prompt = Prompt(messages=messages, tools=request.tools, think=request.think)
    template = await _template(model, engine)
    return await _fitted(template, prompt, request.truncate, engine, options)


async def generate_prompt(
    request: GenerateRequest, model: Model, engine: Engine, options: Options
) -> str | list[int]:
    """The prompt as text, or as token ids when it continues an earlier answer's `context`."""
    if request.raw:
        return request.prompt
    text = await _generate_text(request, model, engine, options)
    if not request.context:
        return text
    return [*request.context, *await engine.tokenize(text, add_bos=False)]


async def _generate_text(request: GenerateRequest, model: Model, engine: Engine, options: Options) -> str:
    if request.suffix:
        template = _go(request.template or model.template or "")
        if request.template or "suffix" in template.names:
            return template.render(Prompt(prompt=request.prompt, suffix=request.suffix, think=request.think))
        before, after, middle = [await _spelled(model, engine, *keys) for keys in _FILL]
        return f"{before}{request.prompt}{after}{request.suffix}{middle}"
    system = request.system or model.system
    messages = [Message(role="system", content=system)] if system else []
    if request.context is None:
        messages += model.messages
    messages.append(Message(role="user", content=request.prompt))
    template = _go(request.template) if request.template else await _template(model, engine)
    prompt = Prompt(messages=messages, think=request.think)
    return await _fitted(template, prompt, request.truncate, engine, options)


async def _fitted(
    template: Template, prompt: Prompt, truncate: bool, engine: Engine, options: Options
) -> str:
    if not truncate:
        return template.render(prompt)

    async def count(text: str) -> int:
        return len(await engine.tokenize(text))

    longest = min(engine.info.num_ctx, options.num_ctx or engine.info.num_ctx)
    return await fit(template, prompt, count, longest)


async def _template(model: Model, engine: Engine) -> Template:
    if named := model.config.get("renderer"):
        return renderer(_gemma4(model) if named == "gemma4" else named)
    if model.chat_template:
        bos = await _spelled(model, engine, "tokenizer.ggml.bos_token_id")
        eos = await _spelled(model, engine, "tokenizer.ggml.eos_token_id")
        return _jinja(model.chat_template, bos=bos, eos=eos)
    return _go(model.template) if model.template else plain()


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
