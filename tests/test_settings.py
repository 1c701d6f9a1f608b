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


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [
        # Ollama envconfig/config_test.go, TestHost.
        ("", "127.0.0.1", 11434),
        ("1.2.3.4", "1.2.3.4", 11434),
        (":1234", "", 1234),
        ("1.2.3.4:1234", "1.2.3.4", 1234),
        ("example.com", "example.com", 11434),
        ("example.com:1234", "example.com", 1234),
        (":0", "", 0),
        (":66000", "", 11434),
        (":-1", "", 11434),
        ("[::1]", "::1", 11434),
        ("[::]", "::", 11434),
        ("::1", "::1", 11434),
        ("[::1]:1337", "::1", 1337),
        (" 1.2.3.4 ", "1.2.3.4", 11434),
        ('"1.2.3.4"', "1.2.3.4", 11434),
        (' " 1.2.3.4 " ', "1.2.3.4", 11434),
        ("'1.2.3.4'", "1.2.3.4", 11434),
        ("http://1.2.3.4", "1.2.3.4", 80),
        ("http://1.2.3.4:4321", "1.2.3.4", 4321),
        ("https://1.2.3.4", "1.2.3.4", 443),
        ("https://1.2.3.4:4321", "1.2.3.4", 4321),
        ("ollama.com", "ollama.com", 443),
        # Neighbours.
        ("http://:8080", "", 8080),
        ("http://", "127.0.0.1", 80),
        ("http://:66000", "", 80),
        ("example.com:", "example.com", 11434),
        ("example.com:http", "example.com", 11434),
        ("1.2.3.4:²", "1.2.3.4", 11434),
        ("0:0:0:0:0:0:0:0", "::", 11434),
    ],
)
def test_the_host_is_read_as_ollama_reads_it(value: str, host: str, port: int):
    settings = Settings.from_environment({"OLLAMA_HOST": value})
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize("value", [":66000", ":-1", "1.2.3.4:x", "1.2.3.4:", "http://[::1]:70000"])
def test_a_port_that_is_none_is_told(value: str, caplog: pytest.LogCaptureFixture):
    Settings.from_environment({"OLLAMA_HOST": value})
    assert "invalid port" in caplog.text


@pytest.mark.parametrize("value", ["", "1.2.3.4", "::1", "[::1]", "example.com", ":0", "1.2.3.4:65535"])
def test_a_host_that_can_be_read_is_no_cause_for_a_word(value: str, caplog: pytest.LogCaptureFixture):
    Settings.from_environment({"OLLAMA_HOST": value})
    assert not caplog.text


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::]:1234", "http://[::1]:1234"),
        ("192.168.1.5:8080", "http://192.168.1.5:8080"),
        ("https://0.0.0.0:4321", "https://127.0.0.1:4321"),
    ],
)
def test_every_address_is_reached_over_loopback(host: str, url: str):
    assert Settings.from_environment({"OLLAMA_HOST": host}).url == url
