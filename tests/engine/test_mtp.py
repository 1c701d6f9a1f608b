"""A model's own MTP layer changes how fast an answer comes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine import dry_run
from puna.engine.drafts import EvaluatedRows, MtpHead, Proposal, ProposalRequest, has_head
from puna.engine.libllama import mtp
from puna.engine.libllama.mtp import HeadContext, obstacle
from puna.errors import LoadFailed
from puna.gguf import read_metadata
from puna.load import LoadSpec
from puna.types import Job
from tests.engine.asking import NEAR, ask, job, loaded
from tests.engine.looped import FEW, NOTHING, PROMPTS, SCRIPT, WORDS, Asked, jobs
from tests.models import damage, shape_model
from tests.mtp_models import HEAD, Family, chance_mtp_model, random_mtp_model, scripted_mtp_model

FAMILIES: tuple[Family, ...] = ("glm4moe", "deepseek2", "qwen35", "qwen35moe")
HYBRIDS: tuple[Family, ...] = ("qwen35", "qwen35moe")


class Headed(Asked):
    """A batch loop whose model has an MTP layer."""

    def __init__(self, path: Path, *, pool: int = 2048, head_pool: int = 0) -> None:
        super().__init__(path, pool=pool, mtp=True, rollback=7)
        context = self.context
        self.head = HeadContext(
            self.model,
            n_ctx=head_pool or pool,
            n_batch=context.n_batch,
            n_seq=context.n_seq,
            n_outputs=16,
            threads=1,
        )

    def begin_headed(self) -> MtpHead:
        """With nothing in memory, and the layer drafting. It takes no time: no clock decides how much."""
        self.head.clear()
        head = self.proposer = MtpHead(self.model, self.context, self.head)
        head.costs.learn = lambda rows, took: None
        self.begin()
        return head

    def close(self) -> None:
        self.head.close()
        super().close()


@pytest.fixture(scope="module")
def headed() -> Iterator[Callable[..., Headed]]:
    """Opens models, and closes all at the end: libllama logs through the one that was opened last."""
    models: list[Headed] = []

    def open_one(path: Path, **options: Any) -> Headed:
        models.append(Headed(path, **options))
        return models[-1]

    yield open_one
    for asked in models:
        asked.close()


# What comes of it


@pytest.fixture(scope="module", params=[("token", 1.0), ("token", 0.6), ("state", 0.9)])
def chance(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, headed: Callable[..., Headed]
) -> Headed:
    """One whose layer is always right, one whose is at times, and one whose goes by hidden states."""
    path = tmp_path_factory.mktemp("chance") / "chance.gguf"
    reads, alike = request.param
    chance_mtp_model(path, reads=reads, alike=alike)
    return headed(path)


@FEW
@given(asked=st.lists(jobs(), min_size=1, max_size=4), after=PROMPTS, steps=st.integers(1, 12))
def test_answers_are_those_without_an_mtp_layer(
    chance: Headed, eager: None, asked: list[Job], after: list[int], steps: int
) -> None:
    chance.proposer = None
    chance.begin()
    plain = chance.answers(asked, NOTHING)
    turns = [job(outcome[-1][-1] + after, num_predict=8, logprobs=1) for outcome in plain]
    next_plain = chance.answers(turns, NOTHING)
    chance.begin_headed()
    assert chance.answers(asked) == plain
    assert chance.answers(turns) == next_plain
    # Whoever is cancelled, and whatever its slot had: the others' answers are theirs.
    chance.begin_headed()
    rest = chance.answers(asked, cancel=(0, steps))[1:]
    assert [outcome[0] for outcome in rest] == [outcome[0] for outcome in plain[1:]]
    assert [outcome[0] for outcome in chance.answers(turns)] == [outcome[0] for outcome in next_plain]


def test_what_it_is_right_about_saves_steps(
    tmp_path: Path, headed: Callable[..., Headed], eager: None
) -> None:
    def taken(astray: int, most: int) -> tuple[int, int, int]:
        path = tmp_path / f"{astray}.gguf"
        scripted_mtp_model(path, WORDS, astray=astray)
        asked = headed(path)
        asked.begin_headed()
        finish = asked.finish(job("Go!", draft_num_predict=most))
        assert asked.model.detokenize(finish.tokens).removesuffix("</s>").endswith(SCRIPT)
        return finish.drafted, finish.accepted, asked.steps

    drafted, accepted, steps = taken(0, 7)
    assert accepted > 0.8 * len(WORDS)
    assert steps < len(WORDS) // 7 + 3
    drafted, accepted, steps = taken(8, 7)
    assert 0.5 * drafted < accepted < drafted
    assert steps < len(WORDS) // 4
    drafted, accepted, steps = taken(1, 7)
    assert accepted < 0.1 * len(WORDS) < drafted
    assert taken(0, 0)[0] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_handed_the_hidden_states_of_all_its_models_batches(
    tmp_path: Path, headed: Callable[..., Headed], eager: None, family: Family
) -> None:
    """One that goes by the state before the last token is right where each state is that token's."""
    scripted_mtp_model(tmp_path / "m.gguf", WORDS, reads="state", family=family)
    asked = headed(tmp_path / "m.gguf")
    asked.begin_headed()
    # The first is read in several batches, beside answers.
    prompts = ["abc " * 60 + "Go!", "Go!", "Do it. Go!"]
    if family in HYBRIDS:
        # Drafted is what runs alone: the first, when the others have ended.
        lengths = [-1, 5, 9]
        pairs = zip(prompts, lengths, strict=True)
        asked.answers([job(prompt, draft_num_predict=1, num_predict=most) for prompt, most in pairs])
        *others, first = asked.finishes()
        assert [finish.drafted for finish in others] == [0, 0]
        # The last may be the end, which is drawn and not accepted.
        assert first.drafted - 1 <= first.accepted > len(WORDS) // 3
        finishes = [first]
    else:
        asked.answers([job(prompt, draft_num_predict=1) for prompt in prompts])
        finishes = asked.finishes()
    for finish in finishes:
        assert family in HYBRIDS or finish.accepted == finish.drafted == len(WORDS) // 2
        again = finish.tokens[:-1] + asked.model.tokenize(" And again!", add_special=False)
        # A turn that begins with what was evaluated: its first state is known, too.
        turn = asked.finish(job(again, draft_num_predict=1))
        assert turn.cached_tokens >= len(finish.tokens) - 2
        assert turn.accepted == turn.drafted == len(WORDS) // 2


def test_a_repeated_prompt_is_drafted_for(tmp_path: Path, headed: Callable[..., Headed], eager: None) -> None:
    """Nothing of it is evaluated the second time, so nothing is handed over."""
    scripted_mtp_model(tmp_path / "m.gguf", WORDS)
    asked = headed(tmp_path / "m.gguf")
    asked.begin_headed()
    first, again = (asked.finish(job("Go!", draft_num_predict=7)) for _ in range(2))
    assert again.cached_tokens == again.prompt_tokens
    assert min(first.accepted, again.accepted) > 0.8 * len(WORDS)


def test_room_for_many_texts_is_made(tmp_path: Path, headed: Callable[..., Headed], eager: None) -> None:
    scripted_mtp_model(tmp_path / "m.gguf", WORDS)
    asked = headed(tmp_path / "m.gguf", head_pool=256)
    asked.begin_headed()
    for number in range(6):
        asked.answers([job(f"{name}{number}" * 12, draft_num_predict=7) for name in "ab"])
        for finish in asked.finishes():
            assert asked.model.detokenize(finish.tokens).removesuffix("</s>").endswith(SCRIPT)
            assert finish.accepted > 0.8 * len(WORDS)


def test_a_layer_that_fails_is_no_failure(
    tmp_path: Path, headed: Callable[..., Headed], eager: None, caplog: pytest.LogCaptureFixture
) -> None:
    scripted_mtp_model(tmp_path / "m.gguf", WORDS)
    damage(tmp_path / "m.gguf", f"{HEAD}.nextn.shared_head_head.weight")
    asked = headed(tmp_path / "m.gguf")
    asked.begin_headed()
    finish = asked.finish(job("Go!", draft_num_predict=7))
    assert finish.drafted == 0
    assert asked.model.detokenize(finish.tokens).removesuffix("</s>").endswith(SCRIPT)
    assert "the MTP layer is not asked any more" in caplog.text


# What it says


TEXT = [3 + number * 37 % 500 for number in range(90)]


@pytest.fixture(scope="module", params=FAMILIES)
def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, headed: Callable[..., Headed]
) -> Headed:
    path = tmp_path_factory.mktemp("reader") / "m.gguf"
    random_mtp_model(path, family=request.param, seed=4 if request.param == "qwen35" else 0)
    return headed(path)


class Reading:
    """Texts that a model evaluates by hand, and its layer follows."""

    def __init__(self, asked: Headed) -> None:
        self._context = asked.context
        self._head = asked.begin_headed()
        self.slots = 0

    def read(self, key: int, tokens: list[int], start: int, owner: str = "") -> None:
        """Evaluate the tokens of a text from `start` on, as two tokens and a wrong draft at the end."""
        context, draft = self._context, [9, 9]
        rows = [*tokens[start:], *draft]
        context.tokens[: len(rows)] = rows
        context.positions[: len(rows)] = range(start, start + len(rows))
        context.sequences[: len(rows)] = key
        context.wants_output[: len(rows)] = 0
        assert context.decode(len(rows)) == 0
        context.synchronize()
        self._head.follow([EvaluatedRows(key, owner, tokens, start, len(tokens), draft, 0)])
        context.cut(key, len(tokens))

    def share(self, source: int, key: int, length: int) -> None:
        context = self._context
        context.share(source, key, 0, length)
        if context.rollback:
            # The state of a sequence that was rolled back is shared as a copy.
            assert context.restore_snapshot(key, context.snapshot(source))

    def propose(self, *asked: tuple[int, list[int]]) -> list[Proposal]:
        return self._head.propose([ProposalRequest(key, tokens, 4) for key, tokens in asked])


def same(one: Proposal, other: Proposal) -> bool:
    """Whether two drafts of four tokens are one, until a near tie parts them."""
    assert len(one.tokens) == len(other.tokens) == 4
    pairs = zip(one.tokens, other.tokens, one.probabilities, other.probabilities, strict=True)
    for token, its, mine, theirs in pairs:
        if abs(mine - theirs) > NEAR * mine:
            return False
        if token != its:
            return True
    return True


@pytest.mark.parametrize("cuts", [[40], [1, 2, 3, 60], [20, 40, 60, 80]])
def test_it_says_the_same_however_a_text_came_to_it(reader: Headed, cuts: list[int]) -> None:
    reading = Reading(reader)
    reading.read(0, TEXT[:-1], 0)
    (whole,) = reading.propose((0, TEXT))
    reading.read(1, [5, *TEXT[1:]], 0)
    (other,) = reading.propose((1, [5, *TEXT[1:], 7]))
    assert not same(whole, other)
    reading = Reading(reader)
    parts = list(zip([0, *cuts], [*cuts, len(TEXT) - 1], strict=True))
    for start, end in parts:
        reading.read(0, TEXT[:end], start)
        reading.propose((0, TEXT[: end + 1]))
    (pieced,) = reading.propose((0, TEXT))
    assert same(whole, pieced)
    # Together with another, asked twice: what it evaluated of its drafts is gone.
    reading.read(1, [5, *TEXT[1:]], 0)
    for _ in range(2):
        both = reading.propose((1, [5, *TEXT[1:], 7]), (0, TEXT))
        assert same(both[0], other)
        assert same(both[1], whole)


def test_it_says_what_libllama_says_of_tokens_and_the_states_before_them(reader: Headed) -> None:
    reading = Reading(reader)
    reading.read(0, TEXT[:-1], 0)
    states = [mtp.state(reader.context, row).copy() for row in range(len(TEXT) - 1)]
    (told,) = reading.propose((0, TEXT))
    head = reader.head
    head.clear()
    before = [np.zeros(head.width, np.float32), *states]
    for at, token in enumerate([*TEXT, *told.tokens[:-1]]):
        head.tokens[0], head.positions[0], head.sequences[0] = token, at, 0
        head.states[0] = before[at]
        head.wants_output[0] = 1
        assert head.decode(1) == 0
        if at >= len(TEXT) - 1:
            logits = head.logits(0).astype(np.float64)
            drafted = at - len(TEXT) + 1
            before.append(head.state(0).copy())
            chance = np.exp(logits[told.tokens[drafted]] - logits.max()) / np.exp(logits - logits.max()).sum()
            assert chance == pytest.approx(told.probabilities[drafted], rel=NEAR)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_it_goes_on_from_what_it_read_for_the_same_owner(reader: Headed, owner: str, in_memory: bool) -> None:
    reading = Reading(reader)
    reading.read(0, TEXT[:-1], 0)
    (whole,) = reading.propose((0, TEXT))
    reading = Reading(reader)
    reading.read(0, TEXT[:50], 0, "ann")
    if in_memory:
        reading.propose((0, TEXT[:51]))
    reading.share(0, 1, 50)
    reading.read(1, TEXT[:-1], 50, owner)
    (shared,) = reading.propose((1, TEXT))
    assert same(whole, shared) == (owner == "ann")


# Loaded in an engine


@pytest.mark.parametrize("seed", [-1, 7])
async def test_an_engine_has_its_mtp_layer_draft(tmp_path: Path, seed: int) -> None:
    scripted_mtp_model(tmp_path / "m.gguf", WORDS)
    async with loaded(tmp_path / "m.gguf") as engine:
        for number in range(20):  # what pays is measured, and this machine may be busy
            answer = await ask(engine, f"Go {number}", draft_num_predict=4, temperature=0.5, seed=seed)
            assert answer.text == SCRIPT
            if answer.finish.accepted > len(WORDS) // 3:
                return
    raise AssertionError("nothing was ever drafted")


async def test_a_file_without_the_layer_it_names_is_served_as_before(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    scripted_mtp_model(path, WORDS, without=["nextn.eh_proj"])
    assert obstacle(read_metadata(path)) == f"{HEAD}.nextn.eh_proj.weight is missing"
    async with loaded(path) as engine:
        answer = await ask(engine, "Go", draft_num_predict=4)
        assert answer.text == SCRIPT
        assert answer.finish.drafted == 0


async def test_a_layer_whose_graph_would_end_the_process_is_left_out(tmp_path: Path) -> None:
    """GLM-4.5V places pictures in two dimensions, and libllama's graph of the layer knows of one."""
    path = tmp_path / "m.gguf"
    scripted_mtp_model(path, WORDS, sections=[8, 12, 12, 0])
    assert (
        obstacle(read_metadata(path))
        == "it is not made for positions of several dimensions, which the model has"
    )
    async with loaded(path) as engine:
        answer = await ask(engine, "Go", draft_num_predict=4)
        assert answer.text == SCRIPT
        assert answer.finish.drafted == 0


async def test_a_layer_of_which_a_part_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    scripted_mtp_model(tmp_path / "m.gguf", WORDS, without=["nextn.hnorm"])
    with pytest.raises(LoadFailed, match=rf"{HEAD}\.nextn\.hnorm\.weight"):
        async with loaded(tmp_path / "m.gguf"):
            pass


def test_a_layer_without_an_output_of_its_own_has_its_models(
    tmp_path: Path, headed: Callable[..., Headed], eager: None
) -> None:
    scripted_mtp_model(tmp_path / "m.gguf", WORDS, without=["nextn.shared_head_head"])
    asked = headed(tmp_path / "m.gguf")
    asked.begin_headed()
    assert asked.finish(job("Go!", draft_num_predict=7)).accepted > 0.8 * len(WORDS)


def spec(path: Path, **fields: Any) -> LoadSpec:
    return LoadSpec(path=str(path), num_ctx=512, pool=2048, parallel=4, **fields)


def test_which_models_have_a_layer_that_drafts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scripted_mtp_model(tmp_path / "m.gguf", WORDS)
    shape_model(tmp_path / "plain.gguf")
    assert has_head(spec(tmp_path / "m.gguf"))
    assert not has_head(spec(tmp_path / "m.gguf", draft="another.gguf"))
    assert not has_head(spec(tmp_path / "plain.gguf"))
    assert not caplog.records
    # A build that does not export the calls.
    monkeypatch.setattr(mtp, "_GET_STATE", "_Z6absentv")
    mtp._calls.cache_clear()
    assert not has_head(spec(tmp_path / "m.gguf"))
    mtp._calls.cache_clear()
    assert "does not hand over hidden states" in caplog.text


async def test_a_dry_run_counts_its_context(tmp_path: Path) -> None:
    random_mtp_model(tmp_path / "m.gguf")
    found = await dry_run(spec(tmp_path / "m.gguf"))
    alone = await dry_run(spec(tmp_path / "m.gguf", draft="another.gguf"))
    assert found is not None
    assert alone is not None
    # Keys and values of 64 numbers in f16; the trunk has two layers.
    assert alone.cache == 2 * 2048 * 2 * 64 * 2
    assert found.cache == alone.cache * 3 / 2
    assert found.host > alone.host
