"""What a job becomes in the batch loop, without a step being evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from puna.engine.budget import kept_tokens
from puna.engine.drafts import LONGEST, TokenText
from puna.engine.intake import Intake
from puna.engine.libllama import LlamaModel
from puna.engine.messages import Generate
from puna.engine.sequence import Sequence
from puna.errors import BadRequest, PromptTooLong
from puna.types import Grammar, Image
from tests.engine.asking import job, schema

NUM_CTX = 64
BEYOND = 1_000_000
"""No token of any model here."""
CASES = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
UNREADABLE = Grammar(source="start: (")


@dataclass
class Desk:
    model: LlamaModel
    intake: Intake

    def sequence(self, prompt: str | list[int], **options: object) -> Sequence:
        return self.intake.sequence(Generate(7, job(prompt, **options)))


@pytest.fixture(scope="module")
def desk(shaped: Path) -> Iterator[Desk]:
    model = LlamaModel(str(shaped))
    yield Desk(model, Intake(model, None, num_ctx=NUM_CTX))
    model.close()


@CASES
@given(
    prompt=st.lists(st.integers(3, 250), max_size=3 * NUM_CTX),
    num_ctx=st.integers(0, 2 * NUM_CTX),
    num_keep=st.integers(-1, 2 * NUM_CTX),
    may_cut=st.booleans(),
)
@example(prompt=[], num_ctx=0, num_keep=4, may_cut=True)
@example(prompt=[5] * NUM_CTX, num_ctx=1, num_keep=-1, may_cut=True)
def test_a_prompt_fits_its_context_or_is_refused(
    desk: Desk, prompt: list[int], num_ctx: int, num_keep: int, may_cut: bool
):
    bounds = max(min(num_ctx or NUM_CTX, NUM_CTX), 4)
    options = {"num_ctx": num_ctx, "num_keep": num_keep, "truncate": may_cut}
    if len(prompt) >= bounds and not may_cut:
        with pytest.raises(PromptTooLong):
            desk.sequence(prompt, **options)
        return
    made = desk.sequence(prompt, **options)
    whole = prompt or [max(desk.model.bos, 0)]
    keep = kept_tokens(made.job, bounds, has_bos=made.has_bos)
    assert made.num_ctx == bounds
    assert len(made.tokens) == made.prompt_tokens < bounds or len(whole) == 1
    assert made.truncated == (len(whole) >= bounds)
    if made.truncated:
        assert made.tokens[:keep] == whole[:keep]
        assert made.tokens[keep:] == whole[len(whole) - len(made.tokens) + keep :]
    else:
        assert made.tokens == whole
    assert list(made.history) == made.tokens  # what penalties look at


@CASES
@given(text=st.text(max_size=40), add_bos=st.booleans())
def test_a_text_is_read_as_the_model_reads_it(desk: Desk, text: str, add_bos: bool):
    tokens = desk.model.tokenize(text, add_special=False)
    assume(tokens and len(tokens) + 1 < NUM_CTX)
    made = desk.sequence(text, add_bos=add_bos)
    begun = add_bos and desk.model.adds_bos and tokens[0] != desk.model.bos
    assert made.tokens == [desk.model.bos] * begun + tokens
    assert made.has_bos == (desk.model.adds_bos and made.tokens[0] == desk.model.bos)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("token", [-1, BEYOND])
def test_an_id_that_the_vocabulary_lacks_is_named(desk: Desk, place: int, token: int):
    prompt = [5, 6]
    prompt[place] = token
    with pytest.raises(BadRequest) as raised:
        desk.sequence(prompt)
    assert raised.value.field.startswith("context")
    assert str(token) in str(raised.value)


def test_pictures_for_a_model_that_has_no_encoder_are_refused(desk: Desk):
    with pytest.raises(BadRequest) as raised:
        desk.sequence("[img-0]", media=[Image(1, 1, b"rgb")])
    assert raised.value.field == "images"


def test_a_grammar_that_nobody_demands_is_given_up_and_another_is_not(desk: Desk):
    assert desk.sequence("a", grammar=schema('{"type": "integer"}')).matcher is not None
    assert desk.sequence("a", grammar=replace(UNREADABLE, strict=False)).matcher is None
    with pytest.raises(BadRequest):
        desk.sequence("a", grammar=UNREADABLE)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, LONGEST),
        ({"seed": 1}, LONGEST),
        ({"seed": 1, "temperature": 0.5}, 0),
        ({"temperature": 0.5}, LONGEST),
        ({"draft_num_predict": 0}, 0),
        ({"draft_num_predict": 3, "seed": 1, "temperature": 0.5}, 3),
    ],
)
def test_only_a_text_that_may_round_otherwise_has_drafts(desk: Desk, options: dict[str, object], most: int):
    drafter = desk.sequence([5, 6, 7] * 4, **options).drafter
    assert (drafter is not None) == (most > 0)
    if drafter:
        guessed, _ = drafter.draft(most + 5, forced=[], shared=TokenText())
        assert len(guessed) <= most
