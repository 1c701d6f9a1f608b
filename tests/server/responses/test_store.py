"""Answers are kept up to a number and a size, the newest and the lately used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.server.responses.errors import Unknown, UnknownItem, UnknownPrevious
from puna.server.responses.requests import REFERENCE, Item
from puna.server.responses.store import Store, StoredResponse
from puna.types import MediaFile, Message


def kept(size: int) -> StoredResponse:
    return StoredResponse(b"x" * size, [])


def test_what_is_kept_is_found():
    store = Store()
    messages = [Message(role="user", content="hi")]
    store.add("a", StoredResponse(b"{}", messages))
    assert store.get("a").body == b"{}"
    assert store.before("a") == messages
    assert store.before(None) == store.before("") == []


def test_what_is_not_there_is_said():
    with pytest.raises(Unknown):
        Store().get("a")
    with pytest.raises(Unknown):
        Store().delete("a")
    with pytest.raises(UnknownPrevious):
        Store().before("a")


def test_the_ones_unused_for_longest_go_first():
    store = Store(count=2)
    store.add("a", kept(1))
    store.add("b", kept(1))
    store.get("a")
    store.add("c", kept(1))
    assert [name for name in "abc" if found(store, name)] == ["a", "c"]


def test_messages_and_their_pictures_have_weight():
    store = Store(size=1000)
    store.add(
        "a", StoredResponse(b"", [Message(role="user", content="x" * 300, images=[MediaFile(b"y" * 300)])])
    )
    store.add("b", kept(500))
    assert not found(store, "a")


def found(store: Store, name: str) -> bool:
    try:
        store.get(name)
    except Unknown:
        return False
    return True


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 60), st.booleans())))
def test_it_never_holds_more_than_it_may(steps: list[tuple[str, int, bool]]):
    store = Store(count=3, size=100)
    sizes: dict[str, int] = {}
    for number, (letter, size, delete) in enumerate(steps):
        name = f"{letter}{number}"
        store.add(name, kept(size))
        sizes[name] = size
        assert found(store, name)
        if delete:
            store.delete(name)
            assert not found(store, name)
        there = [name for name in sizes if found(store, name)]
        assert len(there) == len(store) <= 3
        assert sum(sizes[name] for name in there) <= 100


def test_references_are_the_items_they_mean_while_their_answer_is_kept():
    store = Store(count=1)
    output = (
        b'{"output": [{"type": "reasoning", "id": "rs"}, {"type": "message", "id": "msg", "content": "hi"}]}'
    )
    store.add("a", StoredResponse(output, [], ["rs", "msg"]))
    said = Item(role="user", content="hello")
    found = store.resolve_references([said, Item(type=REFERENCE, id="msg"), Item(id="rs")])
    assert [(item.kind, item.content) for item in found] == [
        ("message", "hello"),
        ("message", "hi"),
        ("reasoning", None),
    ]
    store.add("b", kept(1))
    for gone in (Item(type=REFERENCE, id="msg"), Item(type=REFERENCE)):
        with pytest.raises(UnknownItem) as refusal:
            store.resolve_references([said, gone])
        assert refusal.value.field == "input[1]"


def test_what_is_larger_than_all_the_room_takes_no_others():
    store = Store(size=100)
    store.add("a", kept(10))
    store.add("b", kept(101))
    assert (found(store, "a"), found(store, "b")) == (True, False)
