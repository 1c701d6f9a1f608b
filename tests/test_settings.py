"""Settings that only Puna has."""

from __future__ import annotations

import pytest

from puna.settings import Settings


@pytest.mark.parametrize(
    ("value", "allowed"),
    [(None, False), ("", False), ("0", False), ("false", False), ("1", True), ("true", True)],
)
def test_private_pictures_are_fetched_only_when_that_is_asked_for(value: str | None, allowed: bool):
    environment = {} if value is None else {"PUNA_FETCH_PRIVATE": value}
    assert Settings.from_environment(environment).fetch_private is allowed
