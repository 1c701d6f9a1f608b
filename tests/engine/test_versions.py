"""An engine of another version than the server, as after an upgrade under a running server."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from puna.engine import start
from puna.errors import LoadFailed
from puna.load import LoadSpec

OTHER = r"""#!/bin/sh
printf '\002\000\000\000\221\300'  # a frame of two bytes: a list of nothing known
exec sleep 600
"""


async def test_an_engine_that_is_not_understood_is_ended_and_the_reason_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "python"
    program.write_text(OTHER)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    with pytest.raises(LoadFailed, match="restart the server"):
        await start(LoadSpec(path=str(tmp_path / "model.gguf"), num_ctx=256, pool=256, parallel=1))

    assert not [child for child in psutil.Process().children() if "sleep" in child.name()]
