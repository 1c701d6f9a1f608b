"""Settings from the environment."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("value", ["²", "-1", "0x10", "1e3", "9" * 5000, "some"])
def test_what_is_no_count_counts_as_unset(value: str):
    settings = Settings.from_environment({"OLLAMA_MAX_QUEUE": value})
    assert settings.max_queue == Settings.max_queue


@pytest.mark.parametrize(
    ("value", "level"),
    [
        # Ollama envconfig/config_test.go, TestLogLevel; trace is DEBUG here.
        *(("", "INFO"), ("false", "INFO"), ("f", "INFO"), ("0", "INFO"), ("true", "DEBUG"), ("t", "DEBUG")),
        *(("1", "DEBUG"), ("2", "DEBUG"), ("-1", "WARNING"), ("-2", "ERROR")),
        *(("yes", "INFO"), ("²", "INFO")),
    ],
)
def test_the_level_of_the_log_is_read_as_ollama_reads_it(value: str, level: str):
    assert Settings.from_environment({"OLLAMA_DEBUG": value}).log_level == getattr(logging, level)


@pytest.mark.parametrize("variable", ["OLLAMA_MODELS", "PUNA_CACHE_DIR", "PUNA_KEYS", "PUNA_TLS_CERT"])
def test_a_path_is_absolute(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    field = {"PUNA_TLS_CERT": "tls_certificate"}.get(variable, variable.partition("_")[2].lower())
    for text in ("a/b", "~nobody-of-this-name/b"):
        assert getattr(Settings.from_environment({variable: text}), field) == tmp_path / text


OLLAMAS = [
    "CUDA_VISIBLE_DEVICES",
    "GGML_VK_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "HIP_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "LLAMA_ARG_FIT",
    "LLAMA_ARG_FIT_TARGET",
    "NO_PROXY",
    "OLLAMA_AUTH",
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_DEBUG",
    "OLLAMA_DEBUG_LOG_REQUESTS",
    "OLLAMA_EDITOR",
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_GO_TEMPLATE",
    "OLLAMA_GPU_OVERHEAD",
    "OLLAMA_HOST",
    "OLLAMA_IGPU_ENABLE",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_LLM_LIBRARY",
    "OLLAMA_LOAD_TIMEOUT",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_MAX_QUEUE",
    "OLLAMA_MAX_TRANSFER_STREAMS",
    "OLLAMA_MODELS",
    "OLLAMA_NOHISTORY",
    "OLLAMA_NOPRUNE",
    "OLLAMA_NO_CLOUD",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_ORIGINS",
    "OLLAMA_REMOTES",
    "OLLAMA_SCHED_SPREAD",
    "OLLAMA_VULKAN",
    "ROCR_VISIBLE_DEVICES",
]
"""What Ollama 0.33 reads (envconfig/config.go)."""


@pytest.mark.parametrize("name", OLLAMAS)
def test_every_variable_of_ollamas_is_in_the_documents(name: str):
    written = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"`{name}`" in written


def test_settings_that_do_something():
    given = {
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_GO_TEMPLATE": "0",
        "OLLAMA_DEBUG_LOG_REQUESTS": "true",
        "OLLAMA_MAX_TRANSFER_STREAMS": "3",
        "OLLAMA_EDITOR": "nano",
        "PUNA_SEARCH_URL": "http://search:8080/",
    }
    found = Settings.from_environment(given)
    assert (found.no_cloud, found.go_template, found.log_requests) == (True, False, True)
    assert (found.transfer_streams, found.editor, found.search_url) == (3, "nano", "http://search:8080/")
    assert Settings.from_environment({}).go_template is None
    assert Settings.from_environment({"OLLAMA_GO_TEMPLATE": "1"}).go_template is True


def test_a_user_without_a_home_folder_is_told_so():
    unknown = "import pwd; pwd.getpwuid = lambda uid: {}[uid]; from puna.cli import main; main()"
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    ended = subprocess.run([sys.executable, "-c", unknown], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, "Error: $HOME is not defined\n")
