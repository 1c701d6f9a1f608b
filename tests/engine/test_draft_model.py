"""A draft model changes how fast an answer comes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine.drafts import Costs, DraftModel, ProposalRequest, best_length, draft_model
from puna.engine.drafts.confidence import Confidence
from puna.engine.libllama import Context, LlamaModel
from puna.errors import LoadFailed
from puna.types import Finish, Job
from tests.engine.asking import NEAR, ask, job, loaded
from tests.engine.looped import FEW, NOTHING, PROMPTS, SCRIPT, WORDS, Asked, jobs
from tests.models import (
    chance_model,
    damage,
    embedding_model,
    hybrid_model,
    recurrent_model,
    scripted_model,
    shape_model,
    sliding_window_model,
)


class Beside:
    """A draft model in a context of its own."""

    logs: ClassVar[list[Any]] = []
    """libllama logs through the one that was opened last, also when that is closed."""

    def __init__(self, path: Path, *, n_ctx: int = 2048, slots: int = 4, n_vocab: int = 512) -> None:
        self.model = LlamaModel(str(path))
        self.logs.append(self.model.log)
        self.context = Context(self.model, n_ctx=n_ctx, n_batch=64, n_seq=slots, threads=1, swa_full=True)
        self._n_vocab = n_vocab

    def anew(self) -> DraftModel:
        """With nothing in memory. It takes no time: how much it is asked does not depend on a clock."""
        self.context.clear()
        model = DraftModel(self.model, self.context, n_vocab=self._n_vocab)
        model.costs.learn = lambda rows, took: None
        return model

    def close(self) -> None:
        self.context.close()
        self.model.close()


# What comes of it


@pytest.fixture(scope="module")
def chance(tmp_path_factory: pytest.TempPathFactory, opened: Callable[[Path], Asked]) -> Asked:
    path = tmp_path_factory.mktemp("chance") / "chance.gguf"
    chance_model(path)
    return opened(path)


@pytest.fixture(scope="module", params=["the same", "another", "now and then"])
def beside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """One that says what `chance` says, something else, or the same now and then."""
    path = tmp_path_factory.mktemp("beside") / "chance.gguf"
    chance_model(path, seed=int(request.param == "another"))
    if request.param == "now and then":
        damage(path, "output.weight", slice(40, 120), 0.0)
    opened = Beside(path, n_vocab=320)
    yield opened
    opened.close()


@FEW
@given(asked=st.lists(jobs(), min_size=1, max_size=4), after=PROMPTS)
def test_answers_are_those_without_a_draft_model(
    chance: Asked, beside: Beside, eager: None, asked: list[Job], after: list[int]
) -> None:
    chance.proposer = None
    chance.begin()
    plain = chance.answers(asked, NOTHING)
    turns = [job(outcome[-1][-1] + after, num_predict=8, logprobs=1) for outcome in plain]
    next_plain = chance.answers(turns, NOTHING)
    chance.proposer = beside.anew()
    chance.begin()
    assert chance.answers(asked) == plain
    assert chance.answers(turns) == next_plain


def taken(asked: Asked, draft: Path, **options: Any) -> tuple[Finish, int]:
    """How an answer ended that `draft` guessed at, and in how many steps it came."""
    beside = Beside(draft, n_vocab=400)
    asked.proposer = beside.anew()
    asked.begin()
    finish = asked.finish(job("Go!", **options))
    assert asked.model.detokenize(finish.tokens).removesuffix("</s>").endswith(SCRIPT)
    beside.close()
    return finish, asked.steps


def test_what_a_draft_model_is_right_about_saves_steps(
    tmp_path: Path, opened: Callable[[Path], Asked], eager: None
) -> None:
    for name, astray in (("m", 0), ("wrong", 1), ("half", 8)):
        scripted_model(tmp_path / name, WORDS, astray=astray)
    asked = opened(tmp_path / "m")
    right, steps = taken(asked, tmp_path / "m", draft_num_predict=7)
    assert right.accepted > 0.8 * len(WORDS)
    assert steps < len(WORDS) // 7 + 3
    half, steps = taken(asked, tmp_path / "half", draft_num_predict=7)
    assert 0.5 * half.drafted < half.accepted < half.drafted
    assert steps < len(WORDS) // 4
    wrong, steps = taken(asked, tmp_path / "wrong", draft_num_predict=7)
    assert wrong.accepted < 0.1 * len(WORDS) < wrong.drafted
    for most in (0, 1):
        bounded, steps = taken(asked, tmp_path / "m", draft_num_predict=most)
        assert (bounded.drafted > 0) == (most > 0)
        assert steps >= len(WORDS) // (1 + most)


def test_who_is_never_right_is_seldom_asked_until_that_changes() -> None:
    costs = Costs()
    for rows in (1, 2, 4, 8):
        costs.learn(rows, 1000)
    confidence = Confidence()

    def asked(tokens: int, *, right: bool) -> int:
        count = 0
        for _ in range(tokens):
            most = 7
            size = best_length(confidence.acceptance(most), costs, rows=1, tokens=1, each=150)
            size = size or confidence.sample(most)
            if size:
                count += 1
                confidence.weigh([5] * size, [0.9] * size)
            confidence.take(5 if right else 6)
        return count

    assert asked(3000, right=False) < 40
    asked(2000, right=True)
    assert asked(100, right=True) > 50


# What it says


@pytest.fixture(scope="module", params=[shape_model, sliding_window_model])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    path = tmp_path_factory.mktemp("reader") / "m.gguf"
    request.param(path, context_length=160)
    opened = Beside(path, n_ctx=256, slots=3)
    yield opened
    opened.close()


TEXTS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([10, 40, 70]), st.lists(st.integers(3, 300), max_size=50)),
    min_size=1,
    max_size=3,
    unique_by=lambda text: text[0],
)
"""Whose they are; how much they have of what all begin with; what comes then."""
HEAD = [3 + number * 37 % 500 for number in range(70)]


@FEW
@given(rounds=st.lists(TEXTS, min_size=1, max_size=8))
def test_it_says_what_it_would_say_of_the_text_alone(
    reader: Beside, rounds: list[list[tuple[int, int, list[int]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_model, "_MISSING", 0)
    model = reader.anew()
    asked, told = [], []
    for texts in rounds:
        questions = [ProposalRequest(key, HEAD[:start] + rest, 4) for key, start, rest in texts]
        for _ in range(3):  # It reads a chunk at a time.
            model.propose(questions)
        asked += questions
        told += model.propose(questions)
    assert any(guess.tokens for guess in told)
    for question, guess in zip(asked, told, strict=True):
        if not guess.tokens:
            continue  # They did not fit together.
        model = reader.anew()
        model.propose([question])
        model.propose([question])
        (alone,) = model.propose([question])
        for one, other, mine, its in zip(
            guess.tokens, alone.tokens, guess.probabilities, alone.probabilities, strict=True
        ):
            assert abs(mine - its) < NEAR
            if one != other:
                break  # a near tie


@pytest.mark.parametrize(("owner", "again"), [("ann", 1), ("bob", 60)])
def test_it_reads_again_what_it_read_for_somebody_else(reader: Beside, owner: str, again: int) -> None:
    model, read = reader.anew(), list[int]()
    model.costs.learn = lambda rows, took: read.append(rows)
    model.propose([ProposalRequest(1, HEAD[:60], 1, owner="ann")])
    read.clear()
    model.propose([ProposalRequest(2, HEAD[:60], 1, owner=owner)])
    assert read == [again]


def test_a_draft_model_without_memory_is_no_failure(
    tmp_path: Path, opened: Callable[[Path], Asked], eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(context: Context, rows: int, make_room: Callable[[], bool]) -> int:
        raise MemoryError

    monkeypatch.setattr(draft_model, "decode", starved)
    scripted_model(tmp_path / "m", WORDS)
    finish, _ = taken(opened(tmp_path / "m"), tmp_path / "m", draft_num_predict=7)
    assert finish.drafted == 0


@pytest.mark.parametrize("status", ["numbers", "tokens"])
def test_a_draft_model_that_fails_is_no_failure(
    tmp_path: Path, opened: Callable[[Path], Asked], eager: None, status: str
) -> None:
    scripted_model(tmp_path / "m", WORDS)
    if status == "numbers":
        scripted_model(tmp_path / "draft", WORDS)
        damage(tmp_path / "draft", "output.weight")
    else:
        scripted_model(tmp_path / "draft", WORDS[:-1])  # It does not know the last token.
    finish, _ = taken(opened(tmp_path / "m"), tmp_path / "draft", draft_num_predict=7)
    assert (finish.drafted > 0) == (status == "tokens")


# Loaded in an engine


@pytest.mark.parametrize("seed", [-1, 7])
async def test_an_engine_has_its_draft_model_guess(tmp_path: Path, seed: int) -> None:
    scripted_model(tmp_path / "m.gguf", WORDS)
    async with loaded(tmp_path / "m.gguf", draft=str(tmp_path / "m.gguf")) as engine:
        for number in range(20):  # what pays is measured, and this machine may be busy
            answer = await ask(engine, f"Go {number}", draft_num_predict=4, temperature=0.5, seed=seed)
            assert answer.text == SCRIPT
            if answer.finish.accepted > len(WORDS) // 3:
                return
    raise AssertionError("nothing was ever drafted")


@pytest.mark.parametrize("make", [recurrent_model, hybrid_model])
async def test_memory_that_cannot_be_cut_needs_no_draft_model(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "m.gguf")
    async with loaded(tmp_path / "m.gguf", draft=str(tmp_path / "nowhere.gguf")) as engine:
        assert (await ask(engine, "abcdef" * 9, num_predict=20)).finish.drafted == 0


def _cut(path: Path) -> None:
    scripted_model(path, WORDS)
    path.write_bytes(path.read_bytes()[:5000])


def _other_words(path: Path) -> None:
    scripted_model(path, ["other", *WORDS[1:]])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file or directory"),
        (_cut, "unable to load model"),
        (lambda path: scripted_model(path, [f"word{n}" for n in range(300)]), "it has 560 tokens, not 320"),
        (_other_words, "its token 260 is 'other', not 'word0, '"),
        (recurrent_model, "it is recurrent"),
        (hybrid_model, "it is recurrent"),
        (embedding_model, "it does not generate text"),
    ],
)
async def test_a_draft_model_that_cannot_guess_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    scripted_model(tmp_path / "m.gguf", WORDS)
    make(tmp_path / "draft.gguf")
    with pytest.raises(LoadFailed) as refused:
        async with loaded(tmp_path / "m.gguf", draft=str(tmp_path / "draft.gguf")):
            pass
    assert f"draft model {tmp_path / 'draft.gguf'}: " in str(refused.value)
    assert why in str(refused.value)
