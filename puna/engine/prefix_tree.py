"""A radix tree over token sequences: which sequence already holds the longest prefix of a prompt.

Tokens are packed as int32 bytes, so that comparing runs of them is a memory comparison.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_WIDTH = 4


def pack(tokens: Sequence[int]) -> bytes:
    """Token ids as int32, four bytes each, in this machine's order."""
    return array("i", tokens).tobytes()


def common_prefix(a: bytes, b: bytes) -> int:
    """How many leading tokens two packed runs share."""
    low, high = 0, min(len(a), len(b)) // _WIDTH
    while low < high:
        middle = (low + high + 1) // 2
        if a[low * _WIDTH : middle * _WIDTH] == b[low * _WIDTH : middle * _WIDTH]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass
class _Node:
    run: bytes
    children: dict[bytes, _Node] = field(default_factory=dict)
    holders: set[int] = field(default_factory=set)
    """Sequences whose tokens pass through or end in this node."""


_NOTHING = _Node(b"")


class PrefixTree:
    """Maps each held sequence id to its tokens. All operations cost O(tokens), not O(sequences).

    Each owner has its own root: what one holds is never found for another.
    """

    def __init__(self) -> None:
        self._roots: defaultdict[str, _Node] = defaultdict(lambda: _Node(b""))
        self._held: dict[int, tuple[str, bytes]] = {}

    def insert(self, sequence: int, tokens: Sequence[int], owner: str = "") -> None:
        """Record that `sequence`, which is `owner`'s, holds `tokens`, instead of whatever it held before."""
        self.remove(sequence)
        rest = pack(tokens)
        self._held[sequence] = owner, rest
        node = self._roots[owner]
        while rest:
            child = node.children.get(rest[:_WIDTH])
            if child is None:
                node.children[rest[:_WIDTH]] = _Node(rest, holders={sequence})
                return
            length = common_prefix(child.run, rest)
            if length * _WIDTH < len(child.run):
                child = self._split(node, child, length)
            child.holders.add(sequence)
            node, rest = child, rest[length * _WIDTH :]

    def remove(self, sequence: int) -> None:
        """Forget a sequence; nothing happens if it holds nothing."""
        owner, rest = self._held.pop(sequence, ("", b""))
        node = root = self._roots[owner]
        while rest:
            child = node.children[rest[:_WIDTH]]
            child.holders.discard(sequence)
            if not child.holders:
                del node.children[rest[:_WIDTH]]
                break
            node, rest = child, rest[len(child.run) :]
        if not root.children:
            del self._roots[owner]

    def tokens(self, sequence: int) -> bytes:
        """The packed tokens that a sequence holds."""
        return self._held[sequence][1]

    def matches(self, tokens: Sequence[int], owner: str = "") -> Iterator[tuple[int, set[int]]]:
        """(length, holders) for each depth at which `tokens` matches what is `owner`'s, shortest first.

        The last pair is the longest shared prefix; a holder may hold more than that.
        """
        rest, depth, node = pack(tokens), 0, self._roots.get(owner, _NOTHING)
        while rest:
            child = node.children.get(rest[:_WIDTH])
            if child is None:
                return
            length = common_prefix(child.run, rest)
            depth += length
            yield depth, child.holders
            if length * _WIDTH < len(child.run):
                return
            node, rest = child, rest[length * _WIDTH :]

    def _split(self, parent: _Node, child: _Node, length: int) -> _Node:
        at = length * _WIDTH
        upper = _Node(child.run[:at], {child.run[at : at + _WIDTH]: child}, set(child.holders))
        parent.children[upper.run[:_WIDTH]] = upper
        child.run = child.run[at:]
        return upper
