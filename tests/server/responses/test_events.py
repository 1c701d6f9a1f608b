"""Whatever the pieces are, the events build the answer that the last of them tells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from puna.inference import Call, Piece, Summary
from puna.server.responses.events import Events, Place
from puna.server.responses.reply import begun
from puna.server.responses.requests import ResponsesBody
from puna.types import Message
from tests.server.anthropic.test_events import calls, pieces, summaries
from tests.server.responses.conftest import events, response


@given(st.lists(pieces), summaries, st.booleans(), st.booleans())
def test_the_events_build_the_answer(said: list[Piece], end: Summary, summarised: bool, encrypted: bool):
    made = Events(begun(ResponsesBody(model="m", input="hi")), summarised=summarised, encrypted=encrypted)
    stream = made.begin() + b"".join(map(made.piece, said)) + made.end(end)
    built = response(events(stream.decode()))
    assert built == made.response
    assert built["status"] == ("incomplete" if end.reason == "length" else "completed")
    assert made.message == Message(
        role="assistant",
        content="".join(piece.text for piece in said),
        thinking="".join(piece.thinking for piece in said),
        tool_calls=made.message.tool_calls,
    )
    assert len(made.message.tool_calls) == sum(len(piece.calls) for piece in said)
    reasoned = built["usage"]["output_tokens_details"]["reasoning_tokens"]
    assert 0 <= reasoned <= built["usage"]["output_tokens"]


@given(st.lists(pieces))
def test_what_went_wrong_is_told_after_what_came_before(said: list[Piece]):
    made = Events(begun(ResponsesBody(model="m", input="hi")))
    stream = made.begin() + b"".join(map(made.piece, said)) + made.failed("gone")
    built = response(events(stream.decode()))
    assert (built["status"], built["error"]) == ("failed", {"code": "server_error", "message": "gone"})


@given(calls)
def test_a_call_in_a_namespace_is_told_with_it(call: Call):
    made = Events(begun(ResponsesBody(model="m", input="hi")), places={call.name: Place("files", "look")})
    stream = made.begin() + made.piece(Piece(calls=(call,))) + made.end(Summary(reason="stop"))
    (item,) = response(events(stream.decode()))["output"]
    assert (item["namespace"], item["name"]) == ("files", "look")
    assert made.message.tool_calls[0]["function"]["name"] == call.name
