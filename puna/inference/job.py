"""From a request and its prompt to what the engine is asked, and what reads its answer."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from puna.chat import constraint, parser_for, special_tokens
from puna.inference.answers import Reading
from puna.inference.form import Form, form
from puna.inference.prompts import Composed
from puna.inference.requests import ChatRequest, GenerateRequest
from puna.library import Model
from puna.types import Grammar, Image, Job, Options, Sound

_UNPARSED = Form(family="plain", template="", tools=False, thinking=False)


def settled(request: ChatRequest | GenerateRequest, model: Model) -> ChatRequest | GenerateRequest:
    """`request` with its `think` decided: a model that can think does, unless it was told not to."""
    if not form(model).thinking:
        return replace(request, think=None)
    return replace(request, think=True) if request.think is None else request


async def grammar_for(
    request: ChatRequest | GenerateRequest, model: Model, composed: Composed
) -> Grammar | None:
    """What the answer is held to. Raises BadRequest for a schema that cannot be kept."""
    chat = request if isinstance(request, ChatRequest) else None
    tools = chat.offered if chat else []
    if request.schema is None and not tools:
        return None
    spoken = _spoken(request, model, composed)
    # In a thread, because a large schema takes a second to be put into rules.
    return await asyncio.to_thread(
        constraint,
        spoken.family,
        tools=tools,
        choice=chat.tool_choice if chat else "auto",
        name=chat.tool_name if chat else "",
        parallel=chat.parallel_calls if chat else True,
        schema=request.schema,
        think=request.think if spoken.thinking else False,
        prompt=composed.text,
        last=composed.last,
        template=spoken.template,
    )


def job_for(
    request: ChatRequest | GenerateRequest,
    model: Model,
    options: Options,
    composed: Composed,
    grammar: Grammar | None,
    media: tuple[Image | Sound, ...],
) -> tuple[Job, Reading]:
    """The engine's job and a reading of its answer."""
    chat = request if isinstance(request, ChatRequest) else None
    single = request if isinstance(request, GenerateRequest) else None
    tools = chat.offered if chat else []
    spoken = _spoken(request, model, composed)
    parsed = spoken is not _UNPARSED
    parser = None
    if parsed:
        parser = parser_for(
            spoken.family,
            tools=tools,
            think=request.think,
            prompt=composed.text,
            last=composed.last,
            required=chat is not None and chat.tool_choice == "required",
            template=spoken.template,
        )
    job = Job(
        prompt=composed.prompt,
        options=options,
        grammar=grammar,
        truncate=request.truncate,
        shift=request.shift,
        visible=tuple(special_tokens(spoken.family, spoken.template)) if parsed else (),
        logprobs=request.logprobs,
        echo=single is not None and single.echo,
        silent=single is not None and single.silent,
        bias=request.bias,
        media=media,
    )
    return job, Reading(parser)


def _spoken(request: ChatRequest | GenerateRequest, model: Model, composed: Composed) -> Form:
    """The form an answer is read in. The grammar admits a wrapper only where the parser takes it off."""
    found = form(model)
    tools = isinstance(request, ChatRequest) and bool(request.offered)
    return found if composed.last and (tools or found.thinking) else _UNPARSED
