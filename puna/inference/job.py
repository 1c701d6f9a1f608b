"""Converts a request and its prompt to the engine's job and the answer's parser."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec.structs import replace

from puna.access import caller
from puna.chat import PLAIN, Exchange
from puna.inference.answers import Reading
from puna.inference.form import form
from puna.inference.prompts import Composed
from puna.inference.requests import ChatInput, GenerateInput
from puna.library import Model
from puna.options import Options
from puna.types import Grammar, Image, Job, Sound, Turn


def think_resolved(request: ChatInput | GenerateInput, model: Model) -> ChatInput | GenerateInput:
    """`request` with `think` resolved: a model that can think does so unless it is turned off."""
    if not form(model).thinking:
        return replace(request, think=None)
    return replace(request, think=True) if request.think is None else request


def exchange_for(request: ChatInput | GenerateInput, model: Model, composed: Composed) -> Exchange:
    """How the answer is constrained and parsed; `request` has its `think` resolved.

    An answer that neither calls nor reasons is plain: its grammar must not allow wrappers, because no parser
    would remove them.
    """
    found = form(model)
    chat = request if isinstance(request, ChatInput) else None
    tools = chat.offered if chat else []
    family = found.family if composed.last and (tools or found.thinking) else PLAIN
    return Exchange(
        family,
        composed.text,
        composed.last,
        tools=tools,
        required=chat is not None and chat.tool_choice == "required",
        name=chat.tool_name if chat else "",
        parallel=chat.parallel_calls if chat else True,
        schema=request.schema,
        think=request.think,
    )


async def grammar_of(exchange: Exchange) -> Grammar | None:
    """The grammar of the answer. Raises BadRequest for a schema that cannot be lowered."""
    # In a thread, because a large schema takes a second to lower.
    return await asyncio.to_thread(exchange.grammar) if exchange.constrained else None


def job_for(
    request: ChatInput | GenerateInput,
    options: Options,
    composed: Composed,
    exchange: Exchange,
    grammar: Grammar | None,
    media: tuple[Image | Sound, ...],
) -> tuple[Job, Reading]:
    """The engine's job and a reading of its answer."""
    single = request if isinstance(request, GenerateInput) else None
    job = Job(
        prompt=composed.prompt,
        options=options,
        grammar=grammar,
        truncate=request.truncate,
        shift=request.shift,
        visible=tuple(exchange.visible),
        logprobs=request.logprobs,
        echo=single is not None and single.echo,
        silent=single is not None and single.silent,
        bias=request.bias,
        owner=caller().owner,
        turn=Turn(caller().user, request.priority),
        media=media,
    )
    return job, Reading(None if exchange.family is PLAIN else exchange.parser())


def routing_key(request: ChatInput | GenerateInput) -> bytes:
    """Bytes for routing: prompts with a common prefix have keys with a common prefix."""
    if isinstance(request, ChatInput):
        return msgspec.json.encode((caller().owner, request.offered, request.messages))
    before = (request.system, request.template, request.context, request.tokens, request.images)
    return msgspec.json.encode((caller().owner, *before, request.prompt))
