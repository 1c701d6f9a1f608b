"""The memory that a load would take, by libllama's dry run in a one-shot process."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from puna.engine.one_shot import run_once
from puna.load import DryRun, LoadSpec

_MODULE = "puna.engine.opening"

_PATIENCE = 60.0
"""Seconds: a large vocabulary takes one, a sleeping GPU some more."""

_log = logging.getLogger(__name__)


async def dry_run(spec: LoadSpec) -> DryRun | None:
    """libllama's dry run of a load of `spec`; None if it fails, because the load will report why."""
    try:
        answer = await run_once(_MODULE, msgspec.json.encode(spec), patience=_PATIENCE)
        return msgspec.json.decode(answer, type=DryRun)
    except (OSError, asyncio.TimeoutError, msgspec.DecodeError) as error:
        _log.info("%s has no dry run: %s", spec.path, str(error) or "no answer")
        return None
