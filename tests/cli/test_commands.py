"""The commands against recorded answers: what is asked, what is printed, how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from puna.settings import OLLAMA_LEVEL
from tests.cli.conftest import Ended, Recorded, Refusal

Puna = Callable[..., Ended]

SHOWN: dict[str, Any] = {
    "license": "Apache License\n\nVersion 2.0, January 2004\nTERMS AND CONDITIONS",
    "modelfile": "FROM smollm2:135m\n",
    "parameters": 'stop                           "<|im_end|>"',
    "template": "{{ .Prompt }}",
    "system": "You are a helpful AI assistant.",
    "details": {"family": "llama", "parameter_size": "134.52M", "quantization_level": "F16"},
    "model_info": {
        "general.architecture": "llama",
        "general.parameter_count": 134515008,
        "llama.context_length": 8192,
        "llama.embedding_length": 576,
        "llama.rope.freq_base": 100000.0,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.ggml.tokens": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    },
    "tensors": [{"name": "token_embd.weight", "type": "F16", "shape": [576, 49152]}],
    "capabilities": ["completion"],
}
DONE = {
    "model": "m",
    "created_at": "2025-06-01T12:00:00Z",
    "response": "",
    "done": True,
    "done_reason": "stop",
    "total_duration": 1_500_000_000,
    "load_duration": 12_345_678,
    "prompt_eval_count": 8,
    "prompt_eval_duration": 100_000_000,
    "eval_count": 50,
    "eval_duration": 2_000_000_000,
}


def generated(*pieces: str) -> list[dict[str, Any]]:
    return [{"model": "m", "response": piece, "done": False} for piece in pieces] + [DONE]


def before(**span: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(**span)).isoformat()


@pytest.fixture
def answering(recorded: Recorded) -> Recorded:
    """A server with one text model, which says "The sky is blue."."""
    recorded.answers["/api/version"] = lambda _: {"version": OLLAMA_LEVEL}
    recorded.answers["/api/show"] = lambda _: SHOWN
    recorded.answers["/api/generate"] = lambda _: generated("The sky ", "is blue.")
    return recorded


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


def test_ps(puna: Puna, recorded: Recorded):
    model = {"size": 1_000, "context_length": 4096, "digest": "9077fe9d2ae1a4a4"}
    recorded.answers["/api/ps"] = lambda _: {
        "models": [
            model | {"name": "cpu:latest", "size_vram": 0, "expires_at": before(minutes=-4.5)},
            model
            | {"name": "gpu:latest", "size_vram": 1_000, "expires_at": "2318-01-01T00:00:00.123456789Z"},
            model | {"name": "both:latest", "size_vram": 250, "expires_at": before(seconds=1)},
        ]
    }
    assert puna("ps").out.splitlines() == [
        "NAME           ID              SIZE    PROCESSOR          CONTEXT    UNTIL",
        "cpu:latest     9077fe9d2ae1    1 KB    100% CPU           4096       4 minutes from now",
        "gpu:latest     9077fe9d2ae1    1 KB    100% GPU           4096       Forever",
        "both:latest    9077fe9d2ae1    1 KB    75%/25% CPU/GPU    4096       Stopping...",
    ]


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


def test_rm_removes_what_it_cannot_stop(puna: Puna, recorded: Recorded):
    def broken(_: object) -> dict[str, Any]:
        raise Refusal(500, "out of memory")

    recorded.answers["/api/generate"] = broken
    ended = puna("rm", "a")
    assert (ended.status, ended.out) == (0, "deleted 'a'\n")
    assert ended.err == "Warning: unable to stop model 'a': out of memory\n"


STEPS = [
    {"status": "pulling manifest"},
    {"status": "pulling 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100},
    {"status": "pulling 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100, "completed": 50},
    {"status": "pulling 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100, "completed": 100},
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]
STATUSES = "pulling manifest\npulling 74701a8c35f6\nverifying sha256 digest\nwriting manifest\nsuccess\n"


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


def test_run_prints_one_answer(puna: Puna, answering: Recorded):
    ended = puna("run", "m", "Why is", "the sky blue?", "--keepalive", "1h30m", "--format", "json")
    assert (ended.status, ended.out, ended.err) == (0, "The sky is blue.\n\n", "")
    (asked,) = answering.bodies("/api/generate")
    assert (asked["prompt"], asked["keep_alive"], asked["format"]) == (
        "Why is the sky blue?",
        "1h30m",
        "json",
    )


def test_run_reads_what_is_piped_in_before_the_prompt(puna: Puna, answering: Recorded):
    puna("run", "m", "Summarise", "this.", stdin="Ein Bär.\n".encode())
    puna("run", "m", stdin=b"only \xff piped\n")
    prompts = [body["prompt"] for body in answering.bodies("/api/generate")]
    assert prompts == ["Ein Bär.\n Summarise this.", "only \ufffd piped\n"]


def test_run_without_a_prompt_loads_the_model(puna: Puna, answering: Recorded):
    answering.answers["/api/generate"] = lambda _: [{"model": "m", "response": "", "done": True}]
    assert puna("run", "m").out == ""


def test_run_takes_a_schema(puna: Puna, answering: Recorded):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    puna("run", "m", "hi", "--format", json.dumps(schema))
    assert answering.bodies("/api/generate")[0]["format"] == schema


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "yaml"], "Error: invalid value for --format: 'yaml'"),
        (["--keepalive", "5"], 'Error: time: missing unit in duration "5"'),
        (["--think=loud"], 'Error: invalid value for --think: "loud"'),
        (["--dimensions", "many"], "Error: Invalid value for '--dimensions'"),
    ],
)
def test_a_wrong_flag_is_named_before_anything_is_asked(
    puna: Puna, answering: Recorded, words: list[str], message: str
):
    ended = puna("run", "m", "hi", *words)
    assert (ended.status, ended.out) == (1, "")
    assert message in ended.err
    assert not answering.asked


def test_verbose_timings(puna: Puna, answering: Recorded):
    assert (
        puna("run", "--verbose", "m", "hi").err
        == """\
total duration:       1.5s
load duration:        12.345678ms
prompt eval count:    8 token(s)
prompt eval duration: 100ms
prompt eval rate:     80.00 tokens/s
eval count:           50 token(s)
eval duration:        2s
eval rate:            25.00 tokens/s
"""
    )


def test_run_pulls_a_model_that_is_not_there(puna: Puna, answering: Recorded):
    def show(_: object) -> dict[str, Any]:
        if not answering.bodies("/api/pull"):
            raise Refusal(404, "model 'm' not found")
        return SHOWN

    answering.answers["/api/show"] = show
    answering.answers["/api/pull"] = lambda _: STEPS
    ended = puna("run", "m", "hi")
    assert (ended.status, ended.out, ended.err) == (0, "The sky is blue.\n\n", STATUSES)


def test_run_thinks_as_it_is_told(puna: Puna, answering: Recorded):
    answering.answers["/api/generate"] = lambda _: [
        {"model": "m", "response": "", "thinking": "Let me see.", "done": False},
        *generated("Blue."),
    ]
    thought = "Thinking...\nLet me see.\n...done thinking.\n\nBlue.\n\n"
    assert puna("run", "m", "--think", "Why?").out == thought
    assert puna("run", "m", "--think=high", "--hidethinking", "Why?").out == "Blue.\n\n"
    puna("run", "m", "--think=false", "Why?")
    puna("run", "m", "Why?")
    answering.answers["/api/show"] = lambda _: SHOWN | {"capabilities": ["completion", "thinking"]}
    puna("run", "m", "--", "--think")
    asked = [(body.get("think"), body["prompt"]) for body in answering.bodies("/api/generate")]
    assert asked == [
        *((True, "Why?"), ("high", "Why?"), (False, "Why?")),
        (None, "Why?"),
        (True, "--think"),
    ]


def test_run_sends_pictures(puna: Puna, answering: Recorded, home: Path):
    (home / "a.gif").write_bytes(b"GIF89a...")
    answering.answers["/api/show"] = lambda _: SHOWN | {"capabilities": ["completion", "vision"]}
    ended = puna("run", "m", f"What is in {home}/a.gif ?")
    assert (ended.out, ended.err) == ("The sky is blue.\n\n", f"Added image '{home}/a.gif'\n")
    (asked,) = answering.bodies("/api/generate")
    assert (asked["prompt"], asked["images"]) == ("What is in  ?", ["R0lGODlhLi4u"])


def test_run_on_an_embedding_model_prints_the_vector(puna: Puna, answering: Recorded):
    answering.answers["/api/show"] = lambda _: SHOWN | {"capabilities": ["embedding"]}
    answering.answers["/api/embed"] = lambda _: {"model": "m", "embeddings": [[0.25, -0.5]]}
    ended = puna("run", "m", "--dimensions", "2", "--truncate=false", stdin=b"hello")
    puna("run", "m", "--truncate", "hello")
    assert ended.out == "[0.25,-0.5]\n"
    asked, other = answering.bodies("/api/embed")
    assert (asked["input"], asked["dimensions"], asked["truncate"]) == ("hello", 2, False)
    assert (other["input"], other["truncate"]) == ("hello", True)
    empty = puna("run", "m")
    assert empty.err.startswith("Error: embedding models require input text.")


def test_an_answer_that_breaks_off(puna: Puna, answering: Recorded):
    answering.answers["/api/generate"] = lambda _: [*generated("The sky")[:1], {"error": "engine ended"}]
    ended = puna("run", "m", "hi")
    assert (ended.status, ended.out, ended.err) == (1, "The sky", "Error: engine ended\n")


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


def test_help_shows_examples(puna: Puna):
    assert puna().out == puna("--help").out
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


def test_a_proxy_is_not_asked_for_this_machine(
    puna: Puna, answering: Recorded, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert puna("run", "m", "hi").status == 0


def endless(_: object) -> Any:
    yield from generated("The sky ")[:1]
    while True:
        time.sleep(0.01)
        yield {"model": "m", "response": "x", "done": False}


def test_ctrl_c_ends_a_one_shot_run_quietly(answering: Recorded, environment: dict[str, str]):
    answering.answers["/api/generate"] = endless
    command = [sys.executable, "-m", "puna", "run", "m", "hi"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.read(8) == b"The sky "
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == 130
        assert running.stderr.read() == b""
    assert answering.hung_up.wait(timeout=10)


def test_a_reader_that_leaves_early_causes_no_noise(answering: Recorded, environment: dict[str, str]):
    answering.answers["/api/generate"] = endless
    command = [sys.executable, "-m", "puna", "run", "m", "hi"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.read(8) == b"The sky "
        running.stdout.close()
        assert running.wait(timeout=10) == 1
        assert running.stderr.read() == b""


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
