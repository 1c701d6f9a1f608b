"""Stored responses, in memory, with LRU eviction."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from puna.server.body import decode
from puna.server.responses.errors import Unknown, UnknownItem, UnknownPrevious
from puna.server.responses.items import approximate_size
from puna.server.responses.requests import REFERENCE, Item
from puna.types import Message

COUNT = 1000
"""Responses of one store."""
SIZE = 64 << 20
"""Bytes of one store. Messages that several responses share count for each."""


class StoredResponse(msgspec.Struct, frozen=True):
    """A response's JSON, and the conversation including the answer, without instructions."""

    body: bytes
    messages: list[Message]
    items: list[str] = []
    """The ids of the answer's items."""

    @property
    def size(self) -> int:
        return len(self.body) + sum(map(approximate_size, self.messages))


class _Output(msgspec.Struct):
    output: list[Item]


class Store:
    """Responses by id; the least recently used is evicted."""

    def __init__(self, count: int = COUNT, size: int = SIZE) -> None:
        self._most, self._largest = count, size
        self._responses: OrderedDict[str, StoredResponse] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._size = 0
        self._response_ids: dict[str, str] = {}
        """By the ids of their items."""

    def __len__(self) -> int:
        return len(self._responses)

    def add(self, id: str, kept: StoredResponse) -> None:
        """Store a response, unless it is larger than the store."""
        if kept.size > self._largest:
            return
        self._responses[id] = kept
        self._sizes[id] = kept.size
        self._size += kept.size
        self._response_ids.update(dict.fromkeys(kept.items, id))
        while len(self._responses) > self._most or self._size > self._largest:
            self._remove(next(iter(self._responses)))

    def get(self, id: str) -> StoredResponse:
        """Raises Unknown."""
        if id not in self._responses:
            raise Unknown(id)
        self._responses.move_to_end(id)
        return self._responses[id]

    def before(self, id: str | None) -> list[Message]:
        """The conversation of the previous response. Raises UnknownPrevious."""
        if not id:
            return []
        try:
            return self.get(id).messages
        except Unknown:
            raise UnknownPrevious(id) from None

    def resolve_references(self, given: list[Item]) -> list[Item]:
        """`given` with references resolved. Raises UnknownItem."""
        return [
            self._item(item.id or "", f"input[{number}]") if item.kind == REFERENCE else item
            for number, item in enumerate(given)
        ]

    def _item(self, id: str, field: str) -> Item:
        if id not in self._response_ids:
            raise UnknownItem(field, id)
        answer = decode(self.get(self._response_ids[id]).body, _Output)
        return next(item for item in answer.output if item.id == id)

    def delete(self, id: str) -> None:
        """Raises Unknown."""
        self.get(id)
        self._remove(id)

    def _remove(self, id: str) -> None:
        for item in self._responses.pop(id).items:
            del self._response_ids[item]
        self._size -= self._sizes.pop(id)
