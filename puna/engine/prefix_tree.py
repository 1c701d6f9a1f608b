"""A radix tree over token sequences: finds those that share the longest prefix with a prompt.

Tokens are packed as int32, so that comparing them is a comparison of bytes.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_WIDTH = 4


def pack(tokens: Sequence[int]) -> bytes:
    """Token ids as int32 in native byte order."""
    return array("i", tokens).tobytes()


def common_prefix(a: bytes, b: bytes) -> int:
    """How many leading tokens two packed sequences share."""
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
    label: bytes
    """The packed tokens of the edge to this node."""
    children: dict[bytes, _Node] = field(default_factory=dict)
    sequences: set[int] = field(default_factory=set)
    """Sequences whose tokens pass through or end in this node."""
    ends: set[int] = field(default_factory=set)
    """Those that end in it."""


_EMPTY = _Node(b"")


class PrefixTree:
    """Maps sequence ids to their tokens. All operations cost O(tokens), not O(sequences).

    Each owner has a tree of its own, so nobody finds another owner's sequences.
    """

    def __init__(self) -> None:
        self._roots: defaultdict[str, _Node] = defaultdict(lambda: _Node(b""))
        self._tokens: dict[int, tuple[str, bytes]] = {}

    def insert(self, sequence: int, tokens: Sequence[int], owner: str = "") -> None:
        """Set the tokens of `owner`'s sequence. They replace earlier ones."""
        self.remove(sequence)
        rest = pack(tokens)
        self._tokens[sequence] = owner, rest
        node = self._roots[owner]
        while rest:
            child = node.children.get(rest[:_WIDTH])
            if child is None:
                child = node.children[rest[:_WIDTH]] = _Node(rest)
            length = common_prefix(child.label, rest)
            if length * _WIDTH < len(child.label):
                child = self._split(node, child, length)
            child.sequences.add(sequence)
            node, rest = child, rest[length * _WIDTH :]
        node.ends.add(sequence)

    def remove(self, sequence: int) -> None:
        """Remove a sequence. Unknown ones are ignored."""
        owner, rest = self._tokens.pop(sequence, ("", b""))
        node = root = self._roots[owner]
        while rest:
            child = node.children[rest[:_WIDTH]]
            child.sequences.discard(sequence)
            child.ends.discard(sequence)
            if not child.sequences:
                del node.children[rest[:_WIDTH]]
                break
            node, rest = child, rest[len(child.label) :]
        if not root.children:
            del self._roots[owner]

    def tokens(self, sequence: int) -> bytes:
        """A sequence's packed tokens."""
        return self._tokens[sequence][1]

    def matches(self, tokens: Sequence[int], owner: str = "") -> Iterator[tuple[int, set[int]]]:
        """(length, sequences) for each node of `owner`'s tree that `tokens` reaches, shortest first.

        So many first tokens those sequences share with `tokens`. The last pair has the longest prefix.
        """
        return ((depth, node.sequences) for depth, node, _ in self._path(tokens, owner))

    def prefixes(self, tokens: Sequence[int], owner: str = "") -> Iterator[int]:
        """`owner`'s sequences that are not empty and equal `tokens`, or their first part; shortest first."""
        return (each for _, node, whole in self._path(tokens, owner) if whole for each in node.ends)

    def _path(self, tokens: Sequence[int], owner: str) -> Iterator[tuple[int, _Node, bool]]:
        """The nodes that `tokens` reach: how many lead so far, the node, whether they reach its end."""
        rest, depth, node = pack(tokens), 0, self._roots.get(owner, _EMPTY)
        while rest:
            child = node.children.get(rest[:_WIDTH])
            if child is None:
                return
            length = common_prefix(child.label, rest)
            depth += length
            whole = length * _WIDTH == len(child.label)
            yield depth, child, whole
            if not whole:
                return
            node, rest = child, rest[length * _WIDTH :]

    def _split(self, parent: _Node, child: _Node, length: int) -> _Node:
        at = length * _WIDTH
        upper = _Node(child.label[:at], {child.label[at : at + _WIDTH]: child}, set(child.sequences))
        parent.children[upper.label[:_WIDTH]] = upper
        child.label = child.label[at:]
        return upper
