"""Whatever the pieces are, a stream tells the same message as a whole answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from puna.inference import Answer, Begun, Call, Piece, Summary
from puna.server.anthropic.answer import RequestFacts
from puna.server.anthropic.events import MessageEvents
from puna.server.named_events import stream_events, whole_response
from tests.server.anthropic.conftest import message
from tests.server.events import named_events

arguments = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5), max_size=3)
calls = st.builds(
    Call, id=st.uuids().map(str), index=st.just(0), name=st.text(min_size=1), arguments=arguments
)
pieces = st.one_of(
    st.builds(Piece, text=st.text()),
    st.builds(Piece, thinking=st.text()),
    st.builds(Piece, calls=st.tuples(calls)),
    st.builds(Piece, text=st.text(), thinking=st.text(), calls=st.lists(calls, max_size=2).map(tuple)),
)
summaries = st.builds(
    Summary,
    reason=st.sampled_from(["stop", "length"]),
    prompt_tokens=st.integers(10, 20),
    cached_tokens=st.integers(0, 10),
    eval_tokens=st.integers(0, 10),
    stop=st.sampled_from(["", "END", "<|im_end|>"]),
)


async def answer(said: list[Piece], end: Summary) -> Answer:
    yield Begun(end.prompt_tokens, end.cached_tokens)
    for piece in said:
        yield piece
    yield end


async def both(asked: RequestFacts, said: list[Piece], end: Summary) -> tuple[dict[str, Any], dict[str, Any]]:
    stream = [event async for event in stream_events(answer(said, end), MessageEvents(asked))]
    return json.loads(await whole_response(answer(said, end), MessageEvents(asked))), message(
        named_events(b"".join(stream).decode())
    )


@given(st.lists(pieces), summaries, st.booleans())
def test_a_stream_tells_what_a_whole_answer_tells(said: list[Piece], end: Summary, shown: bool):
    entire, built = asyncio.run(both(RequestFacts("msg_1", "m", 5, ["END"], shown), said, end))
    assert entire == built
    assert "".join(block.get("text", "") for block in entire["content"]) == "".join(p.text for p in said)
    inputs = [block["input"] for block in entire["content"] if block["type"] == "tool_use"]
    assert inputs == [call.arguments for piece in said for call in piece.calls]
    named = entire["stop_reason"] == "stop_sequence"
    assert named == (end.reason == "stop" and end.stop == "END" and not inputs)
    assert entire["usage"]["input_tokens"] + entire["usage"]["cache_read_input_tokens"] == end.prompt_tokens
