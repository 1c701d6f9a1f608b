"""Lines that are typed, quoted and pasted, read as entries."""

from hypothesis import given
from hypothesis import strategies as st

from puna.cli.multiline import Multiline, PromptEntry


def fed(*lines: str) -> list[PromptEntry | None]:
    entries = Multiline()
    return [entries.feed(line) for line in lines]


def test_a_line_is_an_entry():
    assert fed("hello", "/bye") == [PromptEntry("line", "hello"), PromptEntry("line", "/bye")]


def test_quotes_open_and_close_a_message():
    assert fed('"""Hello,', "world!", '"""') == [None, None, PromptEntry("message", "Hello,\nworld!\n")]
    assert fed('"""one line"""') == [PromptEntry("message", "one line")]
    assert fed('"""', '/bye"""') == [None, PromptEntry("message", "\n/bye")]


def test_a_system_message_may_have_several_lines():
    assert fed('/set system """You are', 'a cat."""', "hi") == [
        None,
        PromptEntry("system", "You are\na cat."),
        PromptEntry("line", "hi"),
    ]
    assert fed("/set system You are a cat.") == [PromptEntry("line", "/set system You are a cat.")]


def test_a_paste_is_a_message_and_never_a_command():
    assert fed("/bye\nand more") == [PromptEntry("message", "/bye\nand more")]
    assert fed('"""a\nb"""') == [PromptEntry("message", "a\nb")]


def test_an_entry_can_be_given_up():
    entries = Multiline()
    entries.feed('"""half')
    entries.reset()
    assert entries.open is None
    assert entries.feed("whole") == PromptEntry("line", "whole")


@given(st.lists(st.text(st.characters(exclude_characters='"\n')), min_size=2))
def test_any_lines_between_quotes_come_back_as_they_were(lines: list[str]):
    *opened, last = fed(f'"""{lines[0]}', *lines[1:-1], f'{lines[-1]}"""')
    assert opened == [None] * (len(lines) - 1)
    assert last == PromptEntry("message", "\n".join(lines))
