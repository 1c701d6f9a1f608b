"""What is dropped when a context is too small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine.budget import PrefillChunk, check_cut, cut_middle, kept_tokens, older_half, share, surplus
from puna.errors import PromptTooLong
from puna.options import Options
from puna.types import Job


def job(**fields: bool | int) -> Job:
    keep = fields.pop("num_keep", 4)
    return Job(prompt="", options=Options(num_keep=int(keep)), **fields)  # type: ignore[arg-type]


@given(st.integers(0, 300), st.integers(4, 64), st.integers(-1, 80), st.booleans())
def test_a_fitted_prompt_keeps_both_ends_and_leaves_room(
    length: int, num_ctx: int, num_keep: int, has_bos: bool
) -> None:
    tokens = list(range(length))
    given = job(num_keep=num_keep)
    first, last = surplus(length, given, num_ctx=num_ctx, has_bos=has_bos)
    fitted = tokens[:first] + tokens[last:]
    assert len(fitted) < num_ctx
    if length < num_ctx:
        assert fitted == tokens
    else:
        keep = kept_tokens(given, num_ctx, has_bos=has_bos)
        assert fitted[:keep] == tokens[:keep]
        tail = fitted[keep:]
        assert tail == tokens[len(tokens) - len(tail) :]
        assert fitted[-1] == tokens[-1]


@pytest.mark.parametrize("forbidden", ["truncate", "shift"])
def test_a_prompt_that_may_not_be_cut_is_refused(forbidden: str) -> None:
    with pytest.raises(PromptTooLong, match="exceeds the context length") as refused:
        surplus(20, job(**{forbidden: False}), num_ctx=10, has_bos=False)
    assert (refused.value.tokens, refused.value.limit) == (20, 9)


def test_ollamas_numbers() -> None:
    first, last = surplus(5000, job(num_keep=4), num_ctx=4096, has_bos=False)
    assert (first, 5000 - (last - first)) == (4, 2050)


@given(st.integers(4, 200), st.integers(-1, 300), st.booleans())
def test_a_shift_drops_tokens_after_the_kept_ones(num_ctx: int, num_keep: int, has_bos: bool) -> None:
    tokens, given = list(range(num_ctx)), job(num_keep=num_keep)
    first, last = older_half(num_ctx, given, num_ctx=num_ctx, has_bos=has_bos)
    left = tokens[:first] + tokens[last:]
    keep = kept_tokens(given, num_ctx, has_bos=has_bos)
    assert len(left) < num_ctx
    assert left[:keep] == tokens[:keep]
    assert left[keep:] == tokens[num_ctx - (len(left) - keep) :]


@given(st.lists(st.integers(1, 500), max_size=8), st.integers(0, 1000))
def test_shares_use_the_budget_and_favour_the_short(remaining: list[int], budget: int) -> None:
    given = share(remaining, budget)
    assert sum(given) == min(budget, sum(remaining))
    assert all(g <= r for g, r in zip(given, remaining, strict=True))
    for r, g in zip(remaining, given, strict=True):
        assert g == r or g >= budget // len(remaining)


@given(st.integers(1, 600), st.lists(st.integers(1, 20_000_000), min_size=40, max_size=40))
def test_a_chunk_stays_within_its_bounds(most: int, costs: list[int]) -> None:
    chunk = PrefillChunk(most=most)
    for cost in costs:
        chunk.learn(chunk.size, chunk.size * cost)
        assert min(64, most) <= chunk.size <= most


@pytest.mark.parametrize(
    ("cost", "size"), [(1_000, 512), (1_000_000, 256), (2_000_000, 128), (50_000_000, 64)]
)
def test_a_chunk_grows_and_shrinks_to_the_time_it_may_take(cost: int, size: int) -> None:
    chunk = PrefillChunk(most=512)
    for _ in range(8):
        chunk.learn(chunk.size, chunk.size * 1_000)
    assert chunk.size == 512
    for _ in range(8):
        chunk.learn(chunk.size, chunk.size * cost)
    assert chunk.size == size


def test_a_small_step_says_nothing_of_a_chunk() -> None:
    chunk = PrefillChunk(most=512)
    chunk.learn(1, 1)
    assert chunk.size == 64


@given(st.integers(4, 64), st.integers(-1, 80), st.integers(0, 9))
def test_what_is_not_read_would_have_been_cut_out(num_ctx: int, num_keep: int, more: int) -> None:
    given = job(num_keep=num_keep)
    # A token for every character, each another.
    text = "".join(chr(0x4E00 + at) for at in range(100 * num_ctx + more))
    read = cut_middle(text, given, num_ctx=num_ctx)

    def cut(whole: str) -> str:
        first, last = surplus(len(whole), given, num_ctx=num_ctx, has_bos=False)
        return whole[:first] + whole[last:]

    assert len(read) < len(text)
    assert cut(read) == cut(text)


def test_a_short_text_is_read_whole_and_a_hopeless_one_refused() -> None:
    assert cut_middle("x" * 400, job(), num_ctx=10) == "x" * 400
    text, forbidden = "x" * 10_000, job(truncate=False)
    cut = cut_middle(text, forbidden, num_ctx=10)
    check_cut(text, cut, len(cut), job(), num_ctx=10)
    for tokens, estimate in ((len(cut), 10_000), (len(cut) // 2, 5_000), (0, 10)):
        with pytest.raises(PromptTooLong, match="exceeds the context length") as refused:
            check_cut(text, cut, tokens, forbidden, num_ctx=10)
        assert (refused.value.tokens, refused.value.limit) == (estimate, 9)
