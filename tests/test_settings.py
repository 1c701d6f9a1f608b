"""Settings from the environment."""

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


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("example.com", "http://example.com:11434"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com/ollama/", "https://example.com:443/ollama"),
        ("http://example.com:8080/a/b", "http://example.com:8080/a/b"),
        ("0.0.0.0:1234/proxy", "http://127.0.0.1:1234/proxy"),
    ],
)
def test_a_client_finds_the_server_where_the_host_says(host: str, url: str):
    assert Settings.from_environment({"OLLAMA_HOST": host}).url == url
