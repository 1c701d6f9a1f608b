"""schemathesis makes requests from /openapi.json, and finds no answer that the description does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from puna.access import add_key, new_key
from tests.running import keys_file, serving
from tests.server.conftest import add_models

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OUTSIDE = ("/api/pull", "/api/push", "/api/create", "/api/web_search", "/api/web_fetch")
OUTSIDE += ("/api/experimental/web_search", "/api/experimental/web_fetch")
"""Paths that would go out for what they are asked for."""


@pytest.mark.parametrize("scopes", [None, ["admin"]], ids=["no keys", "an admin"])
def test_answers_and_description_agree(tmp_path: Path, scopes: list[str] | None):
    store = tmp_path / "models"
    add_models(tmp_path / "model.gguf", store)
    key: list[str] = []
    if scopes:
        made, secret = new_key("schemathesis", scopes=scopes)
        add_key(keys_file(store), made)
        key = [f"--header=Authorization: Bearer {secret}"]
    with serving(store) as server:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *(f"--exclude-path={path}" for path in OUTSIDE),
            *key,
            # A schema cannot say all that makes a request right; a refusal with a reason is no disagreement.
            "--exclude-checks=positive_data_acceptance",
            *("--phases=coverage,fuzzing", "--max-examples=5", "--continue-on-failure", "--no-color"),
            *("--generation-deterministic", "--request-timeout=60"),
        ]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            "SCHEMATHESIS_HOOKS": "tests.server.schemathesis_hooks",
        }
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
        assert "Tested: 4" in ran.stdout, ran.stdout  # forty-odd operations
