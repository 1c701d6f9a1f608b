"""`puna run` with a prompt: what is asked, what is printed, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ended, Recorded, Refusal
from tests.cli.person import Person
from tests.cli.replies import SHOWN, STATUSES, STEPS, generated

Puna = Callable[..., Ended]


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


def endless(_: object) -> Any:
    yield from generated("The sky ")[:1]
    while True:
        time.sleep(0.01)
        yield {"model": "m", "response": "x", "done": False}


@contextmanager
def in_the_middle(answering: Recorded, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose answer has begun and has no end; the block must end it, without a word of its own."""
    answering.answers["/api/generate"] = endless
    command = [sys.executable, "-m", "puna", "run", "m", "hi"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.read(8) == b"The sky "
        yield running
        assert running.stderr.read() == b""


def test_ctrl_c_ends_a_one_shot_run_quietly(answering: Recorded, environment: dict[str, str]):
    with in_the_middle(answering, environment) as running:
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 130
    assert answering.hung_up.wait(timeout=60)


def test_a_reader_that_leaves_early_causes_no_noise(answering: Recorded, environment: dict[str, str]):
    with in_the_middle(answering, environment) as running:
        assert running.stdout
        running.stdout.close()
        assert running.wait(timeout=60) == 1


def test_one_shot_on_a_terminal_leaves_it_clean(chatting: dict[str, str], recorded: Recorded):
    def forever(_: object) -> Iterator[dict[str, Any]]:
        while True:
            time.sleep(0.01)
            yield {"model": "m", "response": "on ", "done": False}

    recorded.answers["/api/generate"] = forever
    person = Person(chatting, "go on")
    person.sees("on on")
    person.terminal.sendintr()
    assert person.leaves() == 130
    after = person.terminal.before or ""
    assert after.endswith("\r\n")
    assert "Traceback" not in after


def test_pull_draws_bars_on_a_terminal(chatting: dict[str, str], recorded: Recorded):
    digest = "sha256:74701a8c35f6c8d9"

    def show(_: object) -> dict[str, Any]:
        if not recorded.bodies("/api/pull"):
            raise Refusal(404, "model 'm' not found")
        return {"capabilities": ["completion"]}

    recorded.answers["/api/show"] = show
    recorded.answers["/api/generate"] = lambda _: [{"model": "m", "response": "Here.", "done": True}]
    recorded.answers["/api/pull"] = lambda _: [
        {"status": "pulling manifest"},
        {"status": "pulling 74701a8c35f6", "digest": digest, "total": 100, "completed": 100},
        {"status": "success"},
    ]
    person = Person(chatting, "hi")
    person.sees("pulling manifest")
    person.sees("pulling 74701a8c35f6: 100% ▕")
    person.sees("success")
    person.sees("Here.")
    assert person.leaves() == 0
