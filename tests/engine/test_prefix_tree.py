"""The radix tree against the obvious way: compare the prompt with every sequence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from puna.engine.prefix_tree import PrefixTree, common_prefix, pack

token_lists = st.lists(st.integers(0, 2), max_size=12)


def shared(a: list[int], b: list[int]) -> int:
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return length


@given(token_lists, token_lists)
def test_common_prefix_counts_tokens(a: list[int], b: list[int]) -> None:
    assert common_prefix(pack(a), pack(b)) == shared(a, b)


def test_common_prefix_compares_whole_tokens() -> None:
    assert common_prefix(pack([256, 1]), pack([256, 257])) == 1


class Tree(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tree = PrefixTree()
        self.held: dict[int, list[int]] = {}

    @rule(sequence=st.integers(0, 5), tokens=token_lists)
    def insert(self, sequence: int, tokens: list[int]) -> None:
        self.tree.insert(sequence, tokens)
        self.held[sequence] = tokens

    @rule(sequence=st.integers(0, 5))
    def remove(self, sequence: int) -> None:
        self.tree.remove(sequence)
        self.held.pop(sequence, None)

    @rule(prompt=token_lists)
    def look_up(self, prompt: list[int]) -> None:
        reach: dict[int, int] = {}
        for depth, holders in self.tree.matches(prompt):
            for holder in holders:
                reach[holder] = depth
        assert reach == {s: n for s, tokens in self.held.items() if (n := shared(tokens, prompt))}
        prefixes = {s for s, tokens in self.held.items() if tokens and tokens == prompt[: len(tokens)]}
        assert set(self.tree.prefixes(prompt)) == prefixes


TestTree = Tree.TestCase
