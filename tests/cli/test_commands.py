"""The commands against recorded answers: what is asked, what is printed, how they end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

import pexpect
import pytest

from puna.settings import OLLAMA_LEVEL
from tests.cli.conftest import Ended, Recorded, Refusal
from tests.cli.replies import SHOWN, STATUSES, STEPS
from tests.running import run_puna

Puna = Callable[..., Ended]


def before(**span: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(**span)).isoformat()


def test_list(puna: Puna, recorded: Recorded):
    recorded.answers["/api/tags"] = lambda _: {
        "models": [
            {
                "name": "smollm2:135m",
                "model": "smollm2:135m",
                "modified_at": before(minutes=3.5),
                "size": 270_898_672,
                "digest": "9077fe9d2ae1a4a41a868836b56b8163731a8fe16621397028c2c76f838c6907",
            },
            {
                "model": "all-minilm:latest",
                "modified_at": before(days=15),
                "size": 45_960_996,
                "digest": "1b226e2802db",
            },
        ]
    }
    assert puna("list").out.splitlines() == [
        "NAME                 ID              SIZE      MODIFIED",
        "smollm2:135m         9077fe9d2ae1    270 MB    3 minutes ago",
        "all-minilm:latest    1b226e2802db    45 MB     2 weeks ago",
    ]
    assert [line.split()[0] for line in puna("ls", "SMOL").out.splitlines()] == ["NAME", "smollm2:135m"]
    assert puna("ls", "nothing").out == "NAME    ID    SIZE    MODIFIED\n"


def test_flags_take_the_forms_of_ollamas(puna: Puna, recorded: Recorded):
    recorded.answers["/api/show"] = lambda _: SHOWN
    plain = puna("show", "m", "--system").out
    assert puna("show", "m", "--system=true", "--verbose=false").out == plain
    assert recorded.bodies("/api/show") == [{"model": "m"}] * 2
    ended = puna("show", "m", "--system=maybe")
    assert (ended.status, ended.err) == (
        1,
        'Error: invalid argument "maybe" for "--system" (must be true or false)\n',
    )
    ended = puna("create", "m", "-f=nothing/here")
    assert ended.err == "Error: specified Modelfile wasn't found: nothing/here\n"


def test_ps(puna: Puna, recorded: Recorded):
    model = {"size": 1_000, "context_length": 4096, "digest": "9077fe9d2ae1a4a4"}
    recorded.answers["/api/ps"] = lambda _: {
        "models": [
            model | {"name": "cpu:latest", "size_vram": 0, "expires_at": before(minutes=-4.5)},
            model
            | {"name": "gpu:latest", "size_vram": 1_000, "expires_at": "2318-01-01T00:00:00.123456789Z"},
            model | {"name": "both:latest", "size_vram": 250, "expires_at": before(seconds=1)},
            # It stops now, by the server's clock.
            model | {"name": "now:latest", "size_vram": 0, "expires_at": before()},
        ]
    }
    assert puna("ps").out.splitlines() == [
        "NAME           ID              SIZE    PROCESSOR          CONTEXT    UNTIL",
        "cpu:latest     9077fe9d2ae1    1 KB    100% CPU           4096       4 minutes from now",
        "gpu:latest     9077fe9d2ae1    1 KB    100% GPU           4096       Forever",
        "both:latest    9077fe9d2ae1    1 KB    75%/25% CPU/GPU    4096       Stopping...",
        "now:latest     9077fe9d2ae1    1 KB    100% CPU           4096       Stopping...",
    ]


def test_ps_lists_devices(puna: Puna, recorded: Recorded):
    card = {"name": "CUDA0", "description": "NVIDIA L4", "free": 20_000_000_000, "total": 24_000_000_000}
    found = {"backends": ["cuda"], "devices": [card], "problem": "CUDA1 (NVIDIA T4) is not used: no memory"}
    recorded.answers["/api/devices"] = lambda _: found
    assert puna("ps", "--devices").out.splitlines() == [
        "NAME     GPU          FREE     TOTAL",
        "CUDA0    NVIDIA L4    20 GB    24 GB",
        "CUDA1 (NVIDIA T4) is not used: no memory",
    ]
    recorded.answers["/api/devices"] = lambda _: {"backends": [], "devices": [], "problem": ""}
    assert puna("ps", "--devices").out == "no GPU is used\n"


def test_show(puna: Puna, answering: Recorded):
    assert (
        puna("show", "smollm2:135m").out
        == """\
  Model
    architecture        llama
    parameters          134.52M
    context length      8192
    embedding length    576
    quantization        F16

  Capabilities
    completion

  Parameters
    stop    "<|im_end|>"

  System
    You are a helpful AI assistant.

  License
    Apache License
    Version 2.0, January 2004
    ...

"""
    )
    answering.answers["/api/show"] = lambda _: (
        SHOWN
        | {
            "requires": "0.14.0",
            "projector_info": {
                "general.architecture": "clip",
                "general.parameter_count": 428_890_000,
                "clip.vision.embedding_length": 1280,
                "clip.vision.projection_dim": 4096,
            },
        }
    )
    seeing = puna("show", "smollm2:135m").out
    assert "    quantization        F16\n    requires            0.14.0\n" in seeing
    assert (
        """
  Projector
    architecture        clip
    parameters          428.89M
    embedding length    1280
    dimensions          4096

"""
        in seeing
    )
    answering.answers["/api/show"] = lambda _: SHOWN
    verbose = puna("show", "-v", "smollm2:135m").out
    assert "    tokenizer.ggml.tokens              [<|endoftext|> ...+2 more]\n" in verbose
    assert "    tokenizer.ggml.add_space_prefix    false\n" in verbose
    assert "    token_embd.weight    F16    [576 49152]\n" in verbose
    assert answering.bodies("/api/show")[-1] == {"model": "smollm2:135m", "verbose": True}


def test_show_one_part(puna: Puna, answering: Recorded):
    assert puna("show", "m", "--system").out == "You are a helpful AI assistant."
    assert puna("show", "m", "--template").out == "{{ .Prompt }}"
    assert puna("show", "--modelfile", "m").out == "FROM smollm2:135m\n\n"
    assert puna("show", "--license", "m").out.startswith("Apache License")
    assert puna("show", "--parameters", "m").out.startswith("stop ")
    both = puna("show", "--license", "--system", "m")
    assert (both.status, both.out) == (1, "")
    assert both.err.startswith("Error: only one of '--license'")


def test_neither_a_model_nor_a_registry_can_control_the_terminal(
    puna: Puna, answering: Recorded, environment: dict[str, str]
):
    answering.answers["/api/show"] = lambda _: SHOWN | {"system": "a\x1b]0;b\x07c"}
    assert puna("show", "m", "--system").out == "a\x1b]0;b\x07c", "a program gets all"
    command = f"{sys.executable} -m puna show m --system"
    assert pexpect.run(command, env=environment) == b"a]0;bc"  # type: ignore[arg-type]

    def refuse(_: dict[str, Any]) -> NoReturn:
        raise Refusal(500, "no\x1b[2J")

    answering.answers["/api/show"] = refuse
    assert puna("show", "m").err == "Error: no[2J\n"


def test_cp_stop_rm(puna: Puna, recorded: Recorded):
    assert puna("cp", "a", "b").out == "copied 'a' to 'b'\n"
    assert puna("stop", "a").out == ""
    assert puna("rm", "a", "b").out == "deleted 'a'\ndeleted 'b'\n"
    assert recorded.bodies("/api/copy") == [{"source": "a", "destination": "b"}]
    assert [body["keep_alive"] for body in recorded.bodies("/api/generate")] == [0, 0, 0]
    assert [body["model"] for body in recorded.bodies("/api/delete")] == ["a", "b"]


def test_a_model_that_is_not_there(puna: Puna, recorded: Recorded):
    def missing(body: dict[str, Any]) -> dict[str, Any]:
        raise Refusal(404, f"model '{body['model']}' not found")

    for path in ("/api/show", "/api/generate", "/api/delete"):
        recorded.answers[path] = missing
    for words, message in (
        (("show", "x"), "model 'x' not found"),
        (("stop", "x"), 'couldn\'t find model "x" to stop'),
        (("rm", "x", "y"), "model 'x' not found"),
    ):
        ended = puna(*words)
        assert (ended.status, ended.out, ended.err) == (1, "", f"Error: {message}\n")


COMMANDS = [
    *(("show", "{}"), ("pull", "{}"), ("push", "{}"), ("stop", "{}"), ("rm", "{}"), ("run", "{}", "hi")),
    *(("cp", "{}", "mine"), ("cp", "mine", "{}"), ("create", "{}", "-f", "-")),
]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_name_in_another_encoding_is_refused_by_the_server(
    puna: Puna, recorded: Recorded, words: tuple[str, ...]
):
    def refuse(body: dict[str, Any]) -> NoReturn:
        assert "m\ufffd" in body.values()
        raise Refusal(400, "invalid model name")

    recorded.answers |= dict.fromkeys(
        ("/api/show", "/api/pull", "/api/push", "/api/generate", "/api/delete", "/api/copy"), refuse
    )
    ended = puna(*(word.format("m\udcff") for word in words), stdin=b"FROM a")
    assert (ended.status, ended.err.splitlines()[-1]) == (1, "Error: invalid model name")


@pytest.mark.parametrize("words", COMMANDS)
def test_a_model_must_have_a_name(puna: Puna, words: tuple[str, ...]):
    ended = puna(*(word.format("") for word in words))
    assert (ended.status, ended.err) == (1, "Error: model is required\n")


@pytest.mark.parametrize(
    "words", [("list",), ("show", "m"), ("pull", "m"), ("create", "m", "-f", "-"), ("run", "m", "hi")]
)
@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_an_answer_that_is_no_object(puna: Puna, recorded: Recorded, words: tuple[str, ...], body: Any):
    paths = ("/api/tags", "/api/show", "/api/pull", "/api/create")
    recorded.answers |= dict.fromkeys(paths, lambda _: [body])
    ended = puna(*words, stdin=b"FROM a")
    message = f"Error: cannot read the answer from {recorded.url}: it is not a JSON object"
    assert (ended.status, ended.err.splitlines()[-1]) == (1, message)


@pytest.mark.parametrize("answer", [{"models": 5}, [{}, {}]], ids=["another", "malformed"])
def test_an_answer_that_is_not_ollamas(puna: Puna, recorded: Recorded, answer: Any):
    recorded.answers["/api/tags"] = lambda _: answer
    ended = puna("list")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"Error: cannot read the answer from {recorded.url}: ")
    assert len(ended.err.splitlines()) == 1


def test_an_error_without_words_has_its_status(puna: Puna, recorded: Recorded):
    def fail(_: Any) -> NoReturn:
        raise Refusal(502, "")

    recorded.answers["/api/tags"] = fail
    assert puna("list").err == f"Error: {recorded.url} answered with status 502\n"


def test_a_key_that_no_header_can_hold(puna: Puna, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "ключ")
    assert puna("list").err == "Error: OLLAMA_API_KEY has characters that no key has\n"


def test_rm_removes_what_it_cannot_stop(puna: Puna, recorded: Recorded):
    def broken(_: object) -> dict[str, Any]:
        raise Refusal(500, "out of memory")

    recorded.answers["/api/generate"] = broken
    ended = puna("rm", "a")
    assert (ended.status, ended.out) == (0, "deleted 'a'\n")
    assert ended.err == "Warning: unable to stop model 'a': out of memory\n"


def test_pull_without_a_terminal_is_a_line_a_step(puna: Puna, recorded: Recorded):
    recorded.answers["/api/pull"] = lambda _: STEPS
    ended = puna("pull", "--insecure", "smollm2:135m")
    assert (ended.status, ended.out, ended.err) == (0, "", STATUSES)
    assert recorded.bodies("/api/pull") == [{"model": "smollm2:135m", "insecure": True, "stream": True}]


def test_a_pull_that_fails_on_the_way(puna: Puna, recorded: Recorded):
    recorded.answers["/api/pull"] = lambda _: [
        STEPS[0],
        {"error": "pull model manifest: file does not exist"},
    ]
    ended = puna("pull", "nosuch")
    assert ended.status == 1
    assert ended.err == "pulling manifest\nError: pull model manifest: file does not exist\n"


@pytest.mark.parametrize(
    "words", [("list",), ("ps",), ("show", "m"), ("pull", "m"), ("rm", "m"), ("stop", "m")]
)
def test_no_server(puna: Puna, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    ended = puna(*words)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.endswith(
        "could not connect to Puna at http://127.0.0.1:1: is it running? start it with: puna serve\n"
    )


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("gpu.invalid:1", "could not connect to Puna at http://gpu.invalid:1: is it running there?"),
        ("127.0.0.1:1/path", "could not connect to Puna at http://127.0.0.1:1"),
        ("[::x", "OLLAMA_HOST names no address that can be reached: "),
        ("..:1", "OLLAMA_HOST names no address that can be reached: http://..:1"),
        ("a b", "could not connect to Puna at http://a b:11434"),
        ("ftp://x", "talking to ftp://x:11434 failed: "),
    ],
)
def test_an_address_that_is_none(environment: dict[str, str], host: str, says: str):
    """In a process of its own, for the official client looks at the address when it is imported."""
    for words in (["list"], ["--version"]):
        ended = run_puna(*words, env=environment | {"OLLAMA_HOST": host})
        assert "Traceback" not in ended.stderr
        if words == ["list"]:
            assert ended.stderr.startswith(f"Error: {says}")


def test_version(puna: Puna, answering: Recorded, monkeypatch: pytest.MonkeyPatch):
    assert puna("--version").out == f"puna version is 0.1.0 (Ollama API {OLLAMA_LEVEL})\n"
    answering.answers["/api/version"] = lambda _: {"version": "0.5.0"}
    assert puna("-v").out.endswith("\nWarning: server version is 0.5.0\n")
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")
    assert puna("-v").out.startswith(
        "Warning: could not connect to a running Puna instance\npuna version is "
    )


def test_a_mistyped_command_ends_with_1(puna: Puna):
    for words in ((), ("--nosuch",)):
        ended = puna("show", *words)
        assert ended.status == 1
        assert "Error: " in ended.err


def test_a_command_that_is_nearly_one_is_suggested(puna: Puna):
    assert "No such command 'lst'. Did you mean 'list'" in puna("lst").err


def test_help_shows_examples(puna: Puna):
    assert puna().out == puna("--help").out == puna("help").out
    assert puna("help", "cp").out == puna("cp", "--help").out
    for command in (
        "serve",
        "create",
        "run",
        "pull",
        "push",
        "list",
        "show",
        "ps",
        "stop",
        "cp",
        "rm",
        "doctor",
    ):
        assert f"  Examples:\n    puna {command}" in puna(command, "-h").out
    assert "OLLAMA_KEEP_ALIVE" in puna("serve", "--help").out


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_nothing_heavy_is_imported_for_help(environment: dict[str, str], word: str):
    heavy = {
        "ollama",
        "httpx",
        "pydantic",
        "rich",
        "prompt_toolkit",
        "numpy",
        "msgspec",
        "starlette",
        "asyncio",
    }
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print(*({heavy!r} & sys.modules.keys()), file=sys.stderr))\n"
        f"sys.argv = ['puna', '{word}']\n"
        "from puna.cli import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.stderr.split() == []
    assert "puna" in ended.stdout
