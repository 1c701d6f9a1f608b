"""Stored responses, in memory, limited in number and size."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from puna.server.body import decode
from puna.server.responses.errors import Unknown, UnknownItem, UnknownPrevious
from puna.server.responses.items import weight
from puna.server.responses.requests import REFERENCE, Item
from puna.types import Message

COUNT = 1000
SIZE = 64 << 20
"""Bytes. Messages that several answers share count for each."""


class StoredResponse(msgspec.Struct, frozen=True):
    """A response's JSON, and the conversation up to and including it, without instructions."""

    body: bytes
    messages: list[Message]
    items: list[str] = []
    """The ids of the answer's items."""

    @property
    def size(self) -> int:
        return len(self.body) + sum(map(weight, self.messages))


class _Output(msgspec.Struct):
    output: list[Item]


class Store:
    """Responses by id; the least recently used is evicted."""

    def __init__(self, count: int = COUNT, size: int = SIZE) -> None:
        self._most, self._largest = count, size
        self._kept: OrderedDict[str, StoredResponse] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._size = 0
        self._holders: dict[str, str] = {}
        """The response of each item."""

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, id: str, kept: StoredResponse) -> None:
        """A response larger than the store is not kept."""
        if kept.size > self._largest:
            return
        self._kept[id] = kept
        self._sizes[id] = kept.size
        self._size += kept.size
        self._holders.update(dict.fromkeys(kept.items, id))
        while len(self._kept) > self._most or self._size > self._largest:
            self._forget(next(iter(self._kept)))

    def get(self, id: str) -> StoredResponse:
        """Raises Unknown."""
        if id not in self._kept:
            raise Unknown(id)
        self._kept.move_to_end(id)
        return self._kept[id]

    def before(self, id: str | None) -> list[Message]:
        """The conversation of the previous response. Raises UnknownPrevious."""
        if not id:
            return []
        try:
            return self.get(id).messages
        except Unknown:
            raise UnknownPrevious(id) from None

    def recalled(self, given: list[Item]) -> list[Item]:
        """`given` with references resolved. Raises UnknownItem."""
        return [
            self._item(item.id or "", f"input[{number}]") if item.kind == REFERENCE else item
            for number, item in enumerate(given)
        ]

    def _item(self, id: str, place: str) -> Item:
        if id not in self._holders:
            raise UnknownItem(place, id)
        answer = decode(self.get(self._holders[id]).body, _Output)
        return next(item for item in answer.output if item.id == id)

    def delete(self, id: str) -> None:
        """Raises Unknown."""
        self.get(id)
        self._forget(id)

    def _forget(self, id: str) -> None:
        for item in self._kept.pop(id).items:
            del self._holders[item]
        self._size -= self._sizes.pop(id)
