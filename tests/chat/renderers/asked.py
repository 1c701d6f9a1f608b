"""The conversations whose text the files in `expected` hold for each named renderer."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from puna.chat import Prompt, renderer
from puna.errors import BadRequest
from puna.types import MediaFile, Message
from tests.chat.conversations import WEATHER, chat

EXPECTED = Path(__file__).parent / "expected"
NAMES = sorted(path.stem for path in EXPECTED.glob("*.txt"))

_QUESTION = Message(role="user", content="How is the weather?")
_CALLS = Message(
    role="assistant",
    content="I look.",
    thinking="Two cities.",
    tool_calls=[
        {"id": "c1", "function": {"name": "get_weather", "arguments": {"city": "東京", "days": 2}}},
        {"id": "c2", "function": {"name": "get_weather", "arguments": {"city": "<Nan>", "exact": True}}},
    ],
)
_ANSWERS = [
    Message(role="tool", content="sunny", tool_name="get_weather", tool_call_id="c1"),
    Message(role="tool", content='{"sky": "grey"}', tool_name="get_weather", tool_call_id="c2"),
]
_THOUGHT = Message(role="assistant", content="Four.", thinking="Two and two.")

ASKED = {
    "plain": chat("user: Hi", "assistant: Hello!", "user: Who are you?"),
    "system": chat("system: Be brief.", "user: Hi"),
    "tools": Prompt(messages=[Message(role="system", content="Be brief."), _QUESTION], tools=[WEATHER]),
    "calls": Prompt(messages=[_QUESTION, _CALLS, *_ANSWERS], tools=[WEATHER]),
    "answered": Prompt(
        messages=[_QUESTION, _CALLS, *_ANSWERS, Message(role="assistant", content="Fine."), _QUESTION],
        tools=[WEATHER],
    ),
    "thinking": Prompt(messages=[_QUESTION, _THOUGHT, _QUESTION], think=True),
    "not thinking": Prompt(messages=[_QUESTION, _THOUGHT, _QUESTION], think=False),
    "much thinking": chat("user: Hi", think="high"),
    "continued": chat("user: Tell a story.", "assistant: Once upon a "),
    "continued thinking": Prompt(
        messages=[_QUESTION, Message(role="assistant", thinking="It may")], think=True
    ),
    "pictures": Prompt(
        messages=[
            Message(role="user", content="What is this?", images=[MediaFile(b"1"), MediaFile(b"2")]),
            Message(role="assistant", content="A cat and a dog."),
            Message(role="user", content="And this?", images=[MediaFile(b"3")]),
        ]
    ),
}


def text(name: str, prompt: Prompt) -> str:
    """The prompt's text, or what it is refused with; today's date is put as TODAY."""
    try:
        return renderer(name).render(prompt).replace(date.today().isoformat(), "TODAY")
    except BadRequest as error:
        return f"refused: {error}"


def expected(name: str) -> dict[str, str]:
    """The texts in a file, each below a line `###### its conversation ######`."""
    pieces = (EXPECTED / f"{name}.txt").read_text("utf-8").split("###### ")[1:]
    parted = (piece.split(" ######\n", 1) for piece in pieces)
    return {title: body.removesuffix("\n") for title, body in parted}
