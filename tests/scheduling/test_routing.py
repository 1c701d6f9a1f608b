"""Where a prompt goes: to a replica that has read its beginning, unless more waits there than that saves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from puna.scheduling.routing import ANSWER, BLOCK, Blocks, Traffic, blocks, choose_replica

TEXTS = st.binary(max_size=6 * BLOCK)
PROMPTS = st.lists(st.integers(0, 3), max_size=12).map(
    lambda parts: blocks(b"".join(bytes([part]) * BLOCK for part in parts))
)
"""Of few different blocks, so that many begin alike."""


@dataclass
class Stand:
    """A replica that decodes two requests at once."""

    traffic: Traffic = field(default_factory=Traffic)
    leases: int = 0
    used: int = 0

    @property
    def full(self) -> bool:
        return self.leases >= 2


def send(prompt: Blocks, stands: list[Stand], now: int = 0) -> tuple[Stand, int]:
    """Where it went, and the work that it is there."""
    went = choose_replica(prompt, stands)
    went.leases += 1
    went.used = now
    return went, went.traffic.begin(prompt)


def end(stand: Stand, work: int) -> None:
    stand.traffic.end(work)
    stand.leases -= 1


def common(one: Blocks, other: Blocks) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@given(TEXTS, TEXTS, TEXTS)
def test_prompts_share_the_whole_blocks_that_they_begin_with_alike(before: bytes, one: bytes, other: bytes):
    one, other = before + one, before + other
    alike = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    assert common(blocks(one), blocks(other)) == alike // BLOCK


@given(st.lists(PROMPTS, min_size=1, max_size=20), PROMPTS, st.integers(1, 4))
def test_among_idle_replicas_the_longest_known_beginning_decides(
    earlier: list[Blocks], prompt: Blocks, replicas: int
):
    stands = [Stand() for _ in range(replicas)]
    read: list[list[Blocks]] = [[] for _ in stands]
    for now, other in enumerate(earlier):
        went, work = send(other, stands, now)
        end(went, work)
        read[next(i for i, stand in enumerate(stands) if stand is went)].append(other)
    known = [max((common(prompt, other) for other in each), default=0) for each in read]
    went = choose_replica(prompt, stands)
    assert known[next(i for i, stand in enumerate(stands) if stand is went)] == max(known)


@given(st.lists(st.tuples(PROMPTS, st.booleans()), max_size=40), st.integers(1, 4))
def test_none_waits_while_another_is_free_and_none_has_much_more_to_do(
    steps: list[tuple[Blocks, bool]], replicas: int
):
    stands = [Stand() for _ in range(replicas)]
    under_way: list[tuple[Stand, int]] = []
    for now, (prompt, ends) in enumerate(steps):
        if ends and under_way:
            end(*under_way.pop(0))
            continue
        full = [stand.full for stand in stands]
        work = [stand.traffic.work_with(()) for stand in stands]
        under_way.append(send(prompt, stands, now))
        at = next(i for i, stand in enumerate(stands) if stand is under_way[-1][0])
        assert not full[at] or all(full)
        others = [work[i] for i in range(replicas) if full[i] == full[at]]
        assert work[at] <= min(others) + len(prompt)


@given(st.lists(PROMPTS, max_size=30))
def test_what_has_ended_weighs_nothing(prompts: list[Blocks]):
    traffic = Traffic()
    for work in [traffic.begin(prompt) for prompt in prompts]:
        traffic.end(work)
    assert traffic.work_with(()) == 0
    assert all(traffic.work_with(prompt) == 0 for prompt in prompts)


def test_strangers_are_divided_evenly():
    stands = [Stand() for _ in range(3)]
    counted = Counter(id(send(blocks(bytes([i]) * 10 * BLOCK), stands, i)[0]) for i in range(6))
    assert sorted(counted.values()) == [2, 2, 2]


def test_a_beginning_is_left_where_it_was_read_when_that_saves_less_than_it_waits():
    stands = [Stand(), Stand()]
    short, long = blocks(b"a" * ANSWER * BLOCK), blocks(b"b" * 8 * ANSWER * BLOCK)
    (first, work), (second, _) = [send(prompt, stands) for prompt in (short, long)]
    assert first is not second
    assert choose_replica(long, stands) is second
    end(first, work)
    assert choose_replica(short, stands) is first
    for other in b"cd":
        first.traffic.begin(blocks(bytes([other]) * 8 * ANSWER * BLOCK))
    assert choose_replica(short, stands) is second


def test_conversations_that_go_on_at_once_go_on_where_they_were_read():
    stands = [Stand(), Stand()]
    prompts = [blocks(bytes([i]) * 2 * ANSWER * BLOCK) for i in range(4)]
    began = [send(prompt, stands, now) for now, prompt in enumerate(prompts)]
    for stand, work in began:
        end(stand, work)
    # Two of one engine after the other, so that one must wait beside the other, not its own prompt.
    order = [0, 2, 1, 3]
    assert began[0][0] is began[2][0] is not began[1][0]
    assert all(send(prompts[at], stands, 4)[0] is began[at][0] for at in order)


def test_old_beginnings_are_forgotten():
    traffic = Traffic()
    old = blocks(b"old" * BLOCK)
    traffic.end(traffic.begin(old))
    for i in range(20):
        traffic.end(traffic.begin(blocks(bytes([i]) * (1 << 20))))
    assert traffic.work_with(old) == len(old)
    assert traffic.work_with(blocks(bytes([19]) * (1 << 20))) == 0
