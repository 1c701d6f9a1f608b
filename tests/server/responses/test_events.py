"""Whatever the pieces are, the events build the answer that the last of them tells."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from puna.inference import Answer, Begun, Call, Piece, Summary
from puna.server.framing import COMMENT
from puna.server.named_events import NOT_STARTED, stream_events
from puna.server.responses.events import ResponseEvents
from puna.server.responses.items import ToolOrigin
from puna.server.responses.reply import new_response
from puna.server.responses.requests import ResponsesRequest
from puna.types import Message
from tests.server.anthropic.test_events import calls, pieces, summaries
from tests.server.responses.conftest import events, response


@given(st.lists(pieces), summaries, st.booleans())
def test_the_events_build_the_answer(said: list[Piece], end: Summary, encrypted: bool):
    made = ResponseEvents(new_response(ResponsesRequest(model="m", input="hi")), encrypted=encrypted)
    stream = made.begin(NOT_STARTED) + b"".join(map(made.piece, said)) + made.end(end)
    built = response(events(stream.decode()))
    assert built == msgspec.to_builtins(made.response)
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
    made = ResponseEvents(new_response(ResponsesRequest(model="m", input="hi")))
    stream = made.begin(NOT_STARTED) + b"".join(map(made.piece, said)) + made.fail("gone")
    built = response(events(stream.decode()))
    assert (built["status"], built["error"]) == ("failed", {"code": "server_error", "message": "gone"})


@given(st.text())
def test_a_call_of_a_tool_that_takes_text_is_told_as_text(text: str):
    call = Call(id="call_1", index=0, name="patch", arguments={"input": text})
    body = ResponsesRequest(model="m", input="hi")
    made = ResponseEvents(new_response(body), origins={"patch": ToolOrigin("", "patch", "custom")})
    stream = made.begin(NOT_STARTED) + made.piece(Piece(calls=(call,))) + made.end(Summary(reason="stop"))
    (item,) = response(events(stream.decode()))["output"]
    assert item == {
        "id": item["id"], "type": "custom_tool_call", "status": "completed",
        "call_id": "call_1", "name": "patch", "input": text,
    }  # fmt: skip
    assert made.message.tool_calls[0]["function"]["arguments"] == {"input": text}


@given(st.dictionaries(st.text(), st.integers()))
def test_a_search_for_tools_is_told_with_its_arguments(arguments: dict[str, int]):
    call = Call(id="call_1", index=0, name="tool_search", arguments=arguments)
    body = ResponsesRequest(model="m", input="hi")
    made = ResponseEvents(
        new_response(body), origins={"tool_search": ToolOrigin("", "tool_search", "tool_search")}
    )
    stream = made.begin(NOT_STARTED) + made.piece(Piece(calls=(call,))) + made.end(Summary(reason="stop"))
    (item,) = response(events(stream.decode()))["output"]
    assert item == {
        "id": item["id"], "type": "tool_search_call", "status": "completed",
        "call_id": "call_1", "execution": "client", "arguments": arguments,
    }  # fmt: skip


async def test_silences_are_filled():
    reading, writing = asyncio.Event(), asyncio.Event()

    async def answer() -> Answer:
        yield Begun(30, 10)
        await reading.wait()
        yield Piece(text="a")
        await writing.wait()
        yield Summary(reason="stop")

    told: list[bytes] = []
    made = ResponseEvents(new_response(ResponsesRequest(model="m", input="hi")))
    async for frames in stream_events(answer(), made, 0.001):
        told.append(frames)
        if len(told) == 3:
            reading.set()
        if told.count(COMMENT) == 2:
            writing.set()
    found = [event["type"] for event in events(b"".join(told).replace(COMMENT, b"").decode())]
    waited = found.count("response.in_progress")
    assert waited >= 3
    assert found[: waited + 1] == ["response.created", *["response.in_progress"] * waited]
    assert found[waited + 1] == "response.output_item.added"
    assert (found[-1], told.count(COMMENT) >= 2) == ("response.completed", True)


@given(calls)
def test_a_call_in_a_namespace_is_told_with_it(call: Call):
    made = ResponseEvents(
        new_response(ResponsesRequest(model="m", input="hi")),
        origins={call.name: ToolOrigin("files", "look")},
    )
    stream = made.begin(NOT_STARTED) + made.piece(Piece(calls=(call,))) + made.end(Summary(reason="stop"))
    (item,) = response(events(stream.decode()))["output"]
    assert (item["namespace"], item["name"]) == ("files", "look")
    assert made.message.tool_calls[0]["function"]["name"] == call.name
