"""From a request and its prompt to what the engine is asked, and what reads its answer."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from puna.chat import constraint, parser_for, special_tokens
from puna.inference.answers import Reading
from puna.inference.attached import field_of
from puna.inference.form import Form, form
from puna.inference.pictures import decoded
from puna.inference.prompts import Composed
from puna.inference.requests import ChatRequest, GenerateRequest
from puna.inference.sounds import LONGEST, is_sound, sound
from puna.library import Model
from puna.types import BadRequest, Image, Job, Options, Sound

_MOST_PIXELS = 512 << 20
"""Bytes that the pictures of one request may take when they are decoded."""

_UNPARSED = Form(family="plain", template="", tools=False, thinking=False)


def settled(request: ChatRequest | GenerateRequest, model: Model) -> ChatRequest | GenerateRequest:
    """`request` with its `think` decided: a model that can think does, unless it was told not to."""
    if not form(model).thinking:
        return replace(request, think=None)
    return replace(request, think=True) if request.think is None else request


async def job_for(
    request: ChatRequest | GenerateRequest, model: Model, options: Options, composed: Composed
) -> tuple[Job, Reading]:
    """The engine's job and a reading of its answer. Raises BadRequest for a schema, a picture or a sound."""
    chat = request if isinstance(request, ChatRequest) else None
    single = request if isinstance(request, GenerateRequest) else None
    tools = chat.offered if chat else []
    spoken = form(model) if composed.last else _UNPARSED
    parsed = bool(tools) or spoken.thinking
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
    grammar = None
    if request.schema is not None or tools:
        # In a thread, for a large schema takes a second to be put into rules.
        grammar = await asyncio.to_thread(
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
        media=await _media(composed.images),
    )
    return job, Reading(parser)


async def _media(files: list[bytes]) -> tuple[Image | Sound, ...]:
    media: list[Image | Sound] = []
    pixels, seconds = 0, 0.0
    for file in files:
        if is_sound(file):
            heard = await asyncio.to_thread(sound, file, field_of(file))
            seconds += heard.seconds
            media.append(heard)
        else:
            seen = await asyncio.to_thread(decoded, file, field_of(file))
            pixels += len(seen.rgb)
            media.append(seen)
        if pixels > _MOST_PIXELS:
            raise BadRequest(
                "the images of this request are too large together: send fewer, or smaller ones", "images"
            )
        if seconds > LONGEST:
            raise BadRequest(
                f"the sounds of this request are longer than {LONGEST // 60} minutes together", "images"
            )
    return tuple(media)
