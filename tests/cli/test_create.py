"""`puna create` and `push` against recorded answers: what is sent, what is printed, how they end."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from puna.cli.push import address
from tests.cli.conftest import Ended, Recorded, Refusal

Puna = Callable[..., Ended]
MADE = [{"status": "parsing GGUF"}, {"status": "writing manifest"}, {"status": "success"}]


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the person is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ollama(recorded: Recorded) -> Recorded:
    """A server that has no model yet, and is not Puna."""

    def missing(body: dict[str, Any]) -> dict[str, Any]:
        raise Refusal(404, f"model '{body['model']}' not found")

    recorded.answers["/api/version"] = lambda _: {"version": "0.12.0"}
    recorded.answers["/api/show"] = missing
    recorded.answers["/api/create"] = lambda _: MADE
    return recorded


def test_everything_that_a_modelfile_says_is_asked_for(puna: Puna, ollama: Recorded, folder: Path):
    (folder / "Modelfile").write_text(
        "# mine\nFROM llama3.2\nPARAMETER temperature 0.5\nPARAMETER stop a\nPARAMETER stop b\n"
        'TEMPLATE """{{ .Prompt }}"""\nSYSTEM Be kind.\nLICENSE MIT\nLICENSE Apache\n'
        "MESSAGE user hi\nMESSAGE assistant hello\nRENDERER r\nPARSER p\nREQUIRES 0.14.0\n"
        "PARAMETER use_mlock true\n"
    )
    ended = puna("create", "mine", "-q", "q4_K_M")
    assert (ended.status, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        "warning: parameter use_mlock has no effect",
        "gathering model components",
        "parsing GGUF",
        "writing manifest",
        "success",
    ]
    (asked,) = ollama.bodies("/api/create")
    assert asked == {
        "model": "mine",
        "from": "llama3.2",
        "quantize": "q4_K_M",
        "template": "{{ .Prompt }}",
        "system": "Be kind.",
        "renderer": "r",
        "parser": "p",
        "requires": "0.14.0",
        "parameters": {"temperature": 0.5, "stop": ["a", "b"]},
        "license": ["MIT", "Apache"],
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
    }


def test_files_are_found_from_the_modelfiles_folder_and_sent_once(puna: Puna, ollama: Recorded, folder: Path):
    there = folder / "other place"
    there.mkdir()
    model, projector, adapter = b"GGUF model" * 200_000, b"GGUF projector", b"GGUF adapter"
    (there / "model.gguf").write_bytes(model)
    (there / "mmproj.gguf").write_bytes(projector)
    (folder / "lora.gguf").write_bytes(adapter)
    (there / "Modelfile").write_text("FROM ./model.gguf\nFROM mmproj.gguf\nADAPTER ../lora.gguf\n")
    ollama.blobs[digest(projector)] = projector
    ended = puna("create", "mine", "-f", "other place/Modelfile")
    assert ended.status == 0, ended.err
    (asked,) = ollama.bodies("/api/create")
    assert asked == {
        "model": "mine",
        "files": {"model.gguf": digest(model), "mmproj.gguf": digest(projector)},
        "adapters": {"lora.gguf": digest(adapter)},
    }
    assert ollama.blobs[digest(model)] == model
    sent = [(path, body) for path, body in ollama.asked if path.startswith("/api/blobs/")]
    # Nothing is offered in place to a server that would not know what that means.
    assert sent == [
        (f"/api/blobs/{digest(model)}", {"bytes": len(model), "place": ""}),
        (f"/api/blobs/{digest(adapter)}", {"bytes": len(adapter), "place": ""}),
    ]
    assert ended.err.splitlines()[:4] == [
        "gathering model components",
        f"copying file {digest(projector)} 100%",
        f"copying file {digest(model)} 100%",
        f"copying file {digest(adapter)} 100%",
    ]


def test_a_puna_that_cannot_take_the_file_in_place_gets_it_sent(puna: Puna, ollama: Recorded, folder: Path):
    ollama.answers["/api/version"] = lambda _: {"version": "0.32.15", "puna": "0.1.0"}
    (folder / "ein Bär.gguf").write_bytes(b"GGUF")
    (folder / "Modelfile").write_text("FROM ./ein Bär.gguf\n")
    assert puna("create", "mine").status == 0
    asked = ollama.bodies(f"/api/blobs/{digest(b'GGUF')}")
    assert [(body["bytes"], body["place"].endswith("/ein%20B%C3%A4r.gguf")) for body in asked] == [
        (0, True),
        (4, False),
    ]


def test_the_modelfile_may_be_piped_in_or_missing(puna: Puna, ollama: Recorded, folder: Path):
    (folder / "model.gguf").write_bytes(b"GGUF")
    piped = puna("create", "a", "-f", "-", stdin="FROM ./model.gguf\nSYSTEM Bär\n".encode("utf-16"))
    assert piped.status == 0, piped.err
    assert puna("create", "b").status == 0
    first, second = ollama.bodies("/api/create")
    assert first == {"model": "a", "files": {"model.gguf": digest(b"GGUF")}, "system": "Bär"}
    assert second == {"model": "b", "files": {"model.gguf": digest(b"GGUF")}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("FROM x\n\nPARAMETER num_ctx many\n", "my.txt:3: invalid int value [many]"),
        ("FORM x\n", 'my.txt:1: command must be one of "from", "license"'),
        ("SYSTEM x\n", "my.txt: no FROM line"),
        ("\nFROM ./gone.gguf\n", "my.txt:2: FROM ./gone.gguf: no such file or folder: gone.gguf"),
        ("FROM x\nADAPTER lora\n", "my.txt:2: ADAPTER lora: no such file or folder: lora"),
        ("FROM x\n# and\nADAPTER my.txt\n", "my.txt:3: my.txt: neither a GGUF file nor safetensors"),
        ("FROM x\nFROM y\n", "my.txt:2: FROM names two models: x and y"),
        ("FROM .\n", "my.txt:1: .: no safetensors or GGUF files found"),
        (
            "FROM ./big-00001-of-00002.gguf\n",
            "my.txt:1: FROM ./big-00001-of-00002.gguf: no such file",
        ),
        ("FROM my.txt\n", "my.txt:1: my.txt: neither a GGUF file nor safetensors"),
        ("SYSTEM x\nFROM /dev/null\n", "my.txt:2: /dev/null: not a regular file"),
        (f"FROM {'x' * 300}\n", f"my.txt:1: {'x' * 300}: File name too long"),
        ("FROM x\nADAPTER \n", "my.txt:2: ADAPTER names no adapter"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_asked(
    puna: Puna, ollama: Recorded, folder: Path, content: str, message: str
):
    (folder / "my.txt").write_text(content)
    ended = puna("create", "mine", "-f", "my.txt")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("Error: ")
    assert message in ended.err
    assert not ollama.asked


def test_a_modelfile_that_is_not_there(puna: Puna, ollama: Recorded, folder: Path):
    gone = puna("create", "mine", "-f", "gone")
    assert (gone.status, gone.err) == (1, "Error: specified Modelfile wasn't found: gone\n")
    nothing = puna("create", "mine")
    assert (nothing.status, nothing.err) == (
        1,
        "Error: no Modelfile here: .: no safetensors or GGUF files found\n",
    )


def test_a_name_that_cannot_be_is_refused_before_files_are_sent(puna: Puna, ollama: Recorded, folder: Path):
    def invalid(_: object) -> dict[str, Any]:
        raise Refusal(400, "invalid model name")

    ollama.answers["/api/show"] = invalid
    (folder / "model.gguf").write_bytes(b"GGUF")
    ended = puna("create", "no/t/a/name")
    assert (ended.status, ended.err) == (1, "Error: invalid model name\n")
    assert not ollama.blobs


def test_a_server_that_fails_on_the_way(puna: Puna, ollama: Recorded, folder: Path):
    ollama.answers["/api/create"] = lambda _: [MADE[0], {"error": "model.gguf: not a GGUF file"}]
    ended = puna("create", "mine", "-f", "-", stdin=b"FROM x")
    assert ended.status == 1
    assert ended.err == "gathering model components\nparsing GGUF\nError: model.gguf: not a GGUF file\n"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that root cannot read either")
def test_a_file_that_cannot_be_read(puna: Puna, ollama: Recorded, folder: Path):
    """Nothing may be read of it, root or not: its first byte is no memory of ours."""
    (folder / "model.gguf").symlink_to("/proc/self/mem")
    (folder / "Modelfile").write_text("# what I want\nFROM ./model.gguf\n")
    ended = puna("create", "mine")
    assert (ended.status, ended.err) == (1, "Error: Modelfile:2: model.gguf: Input/output error\n")
    assert not ollama.asked


def test_a_file_that_can_be_read_no_more_when_it_is_sent(puna: Puna, ollama: Recorded, folder: Path):
    (folder / "model.gguf").write_bytes(b"GGUF")

    def gone(_: object) -> dict[str, Any]:
        (folder / "model.gguf").unlink()
        raise Refusal(404, "model 'mine' not found")

    ollama.answers["/api/show"] = gone
    ended = puna("create", "mine", "-f", "-", stdin=b"FROM ./model.gguf")
    assert (ended.status, ended.err) == (1, f"Error: {folder}/model.gguf: No such file or directory\n")


PUSHED = [
    {"status": "retrieving manifest"},
    {"status": "pushing 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100},
    {"status": "pushing 74701a8c35f6", "digest": "sha256:74701a8c35f6", "total": 100, "completed": 100},
    {"status": "pushing manifest"},
    {"status": "success"},
]


def test_push(puna: Puna, recorded: Recorded):
    recorded.answers["/api/push"] = lambda _: PUSHED
    ended = puna("push", "--insecure", "localhost:5000/me/mine")
    assert (ended.status, ended.out) == (
        0,
        "\nYou can find your model at:\n\n\tlocalhost:5000/me/mine:latest\n",
    )
    assert ended.err == "retrieving manifest\npushing 74701a8c35f6\npushing manifest\nsuccess\n"
    assert recorded.bodies("/api/push") == [
        {"model": "localhost:5000/me/mine", "insecure": True, "stream": True}
    ]


def test_a_push_to_what_is_not_ones_own(puna: Puna, recorded: Recorded):
    recorded.answers["/api/push"] = lambda _: [PUSHED[0], {"error": "push access denied: unauthorized"}]
    ended = puna("push", "library/mine")
    assert (ended.status, ended.out) == (1, "")
    assert "\nError: you are not authorized to push to this namespace, create the model under" in ended.err


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("me/mine", "https://ollama.com/me/mine"),
        ("mine:v2", "https://ollama.com/mine:v2"),
        ("registry.ollama.ai/me/mine:latest", "https://ollama.com/me/mine"),
        ("http://127.0.0.1:5000/me/mine", "127.0.0.1:5000/me/mine:latest"),
        ("hub.example.com/me/mine:v1", "hub.example.com/me/mine:v1"),
    ],
)
def test_where_a_pushed_model_is(name: str, where: str):
    assert address(name) == where


def test_ctrl_c_leaves_the_terminal_clean(ollama: Recorded, environment: dict[str, str], folder: Path):
    def slow(_: object) -> Iterator[dict[str, Any]]:
        yield MADE[0]
        while True:
            time.sleep(0.02)
            yield {
                "status": "quantizing F16 model to Q4_K_M",
                "digest": "sha256:0",
                "total": 9,
                "completed": 3,
            }

    ollama.answers["/api/create"] = slow
    (folder / "model.gguf").write_bytes(b"GGUF" * 1_000_000)
    terminal: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-m", "puna", "create", "mine"],
        env=environment | {"TERM": "xterm-256color"},  # type: ignore[arg-type]
        dimensions=(24, 100),
        encoding="utf-8",
        timeout=60,
    )
    for shown in (
        r"gathering model components +\d+% ▕",
        rf"copying file {digest(b'GGUF' * 1_000_000)[:19]} 100% ▕",
        "parsing GGUF",
        r"quantizing F16 model to Q4_K_M  33% ▕",
    ):
        terminal.expect(shown)
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    last = terminal.before or ""
    assert "Traceback" not in last
    assert re.findall(r"\x1b\[\?25[lh]", last)[-1:] == ["\x1b[?25h"]
    assert last.endswith("\n") or last.endswith("\x1b[?25h")
    assert ollama.hung_up.wait(timeout=60)


def test_a_draft_is_a_file_where_there_is_one_and_else_a_name(puna: Puna, ollama: Recorded, folder: Path):
    (folder / "model.gguf").write_bytes(b"GGUF model")
    (folder / "small.gguf").write_bytes(b"GGUF draft")
    (folder / "Modelfile").write_text("FROM llama3.2\nDRAFT ./small.gguf\n")
    ended = puna("create", "filed", "--draft-quantize", "q4_0")
    assert ended.status == 0, ended.err
    (folder / "Modelfile").write_text("FROM ./model.gguf\nDRAFT small:135m\n")
    ended = puna("create", "named")
    assert ended.status == 0, ended.err
    first, second = ollama.bodies("/api/create")
    draft, model = {"small.gguf": digest(b"GGUF draft")}, {"model.gguf": digest(b"GGUF model")}
    assert first == {"model": "filed", "from": "llama3.2", "draft_files": draft, "draft_quantize": "q4_0"}
    assert second == {"model": "named", "files": model, "draft": "small:135m"}


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        ("./model.gguf", "DRAFT must not reference the same local path as FROM: ./model.gguf"),
        ("./nowhere.gguf", "DRAFT ./nowhere.gguf: no such file or folder"),
        ("./notes.txt", "neither a GGUF file nor safetensors"),
    ],
)
def test_a_draft_that_cannot_be_one_is_refused_with_its_line(
    puna: Puna, ollama: Recorded, folder: Path, draft: str, why: str
):
    (folder / "model.gguf").write_bytes(b"GGUF model")
    (folder / "notes.txt").write_text("nothing")
    (folder / "Modelfile").write_text(f"FROM ./model.gguf\n\nDRAFT {draft}\n")
    ended = puna("create", "mine")
    assert ended.status == 1
    assert "Modelfile:3: " in ended.err
    assert why in ended.err
    assert not ollama.bodies("/api/create")
