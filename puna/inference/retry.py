"""Retries work once when its engine dies, unless the answer has begun."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import wraps
from typing import ParamSpec, TypeVar

from puna.errors import EngineGone
from puna.inference.requests import Answer
from puna.types import Begun

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def retried_once(work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """`work`, retried once if its engine dies."""

    @wraps(work)
    async def done(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await work(*args, **kwargs)
        except EngineGone as error:
            _log_retry(error)
        return await work(*args, **kwargs)

    return done


async def retried_answer(attempt: Callable[[], Answer]) -> Answer:
    """The answer of `attempt`; of a second one if the engine dies before the first piece."""
    announced = begun = False
    try:
        async with aclosing(attempt()) as items:
            async for item in items:
                announced = True
                begun = begun or not isinstance(item, Begun)
                yield item
        return
    except EngineGone as error:
        if begun:
            raise
        _log_retry(error)
    async with aclosing(attempt()) as items:
        async for item in items:
            if not (announced and isinstance(item, Begun)):
                yield item


def _log_retry(error: EngineGone) -> None:
    _log.warning("%s; its request is run again", error)
