"""Bodies: what is wrong with one is said in the words of JSON, with the field's name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import BadRequest
from puna.server.anthropic.requests import MessagesRequest
from puna.server.body import decode
from puna.server.native.requests import ChatRequest, EmbedRequest, GenerateRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "missing request body"),
        (b" \r\n\t", "missing request body"),
        (b"{", "invalid JSON in request body: Input data was truncated"),
        (b'{"model": "m" "n"}', "invalid JSON in request body: "),
        (b'{"model": "m\n"}', "invalid JSON in request body: "),
        (b'{"model": NaN}', "invalid JSON in request body: "),
        (b'{"model": "\xff", "stream": -Infinity}', "invalid JSON in request body: "),
        (b'{"model": "\\u12"}', "invalid JSON in request body: "),
        (b'{"model": "\\ud83d\\uz"}', "invalid JSON in request body: "),
        (b"[" * 100_000, "invalid "),
        (b'["m"]', "invalid request body: Expected `object`, got `array`"),
        (b'{"model": 5}', 'invalid value for "model": expected string, got integer'),
        (b'{"stream": "yes"}', 'invalid value for "stream": expected boolean, got string'),
        (b'{"messages": "hello"}', 'invalid value for "messages": expected array, got string'),
        (
            b'{"messages": [{"role": 1}]}',
            'invalid value for "messages[0].role": expected string, got integer',
        ),
        (b'{"keep_alive": true}', 'invalid value for "keep_alive": expected number | string, got boolean'),
        (b'{"MODEL": 5}', 'invalid value for "model": expected string, got integer'),
        (b'{"Messages": [{"ROLE": "user", "CONTENT": 5}]}', 'invalid value for "messages[0].content": '),
        (b'{"options": [1]}', 'invalid value for "options": expected object, got array'),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(body: bytes, message: str):
    with pytest.raises(BadRequest) as refusal:
        decode(body, ChatRequest)
    assert message in str(refusal.value)


@pytest.mark.parametrize("depth", [100, 200, 300, 400, 480, 2000])
def test_a_deep_body_is_decoded_or_refused(depth: int):
    content = b'[{"type": "x", "content": ' * depth + b'""' + b"}]" * depth
    body = b'{"model": "m", "max_tokens": 1, "x": 1, "messages": [{"role": "user", "content": %s}]}'
    with suppress(BadRequest):
        assert decode(body % content, MessagesRequest).model == "m"


def test_unknown_fields_and_nulls_count_as_left_out():
    nulls = dict.fromkeys(GenerateRequest.__struct_fields__)
    assert (
        decode(json.dumps({**nulls, "logit_bias": {"7": 1}}).encode(), GenerateRequest) == GenerateRequest()
    )


@given(JSON)
def test_any_json_is_decoded_or_refused(value: object):
    with suppress(BadRequest):
        body = decode(json.dumps(value).encode(), EmbedRequest)
        assert isinstance(value, dict)
        assert body.input == value.get("input")


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(body: bytes):
    with suppress(BadRequest):
        assert isinstance(decode(body, ChatRequest), ChatRequest)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        # What Go's encoding/json makes of each.
        (rb"\ud83d", "\ufffd"),
        (rb"\uD83D\uDE00", "\U0001f600"),
        (rb"\ude00", "\ufffd"),
        (rb"a\ud83d\u0041", "a\ufffdA"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\n", "\ufffd\n"),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\"\ud83d\"", '"\ufffd"'),
        (b"caf\xe9", "caf\ufffd"),
        (b"\xe9\xe8 \xff", "\ufffd\ufffd \ufffd"),
        (b"\xf0\x9f\x98", "\ufffd\ufffd\ufffd"),
        (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
        (b"\xc0\x80", "\ufffd\ufffd"),
        ("é \U0001f600 \ufffd".encode(), "é \U0001f600 \ufffd"),
        (rb"\ud83d" + b"\xe9", "\ufffd\ufffd"),
    ],
)
def test_what_is_no_unicode_is_read_as_go_reads_it(written: bytes, read: str):
    body = decode(b'{"prompt": "%s", "options": {"stop": ["%s"]}}' % (written, written), GenerateRequest)
    assert (body.prompt, body.options) == (read, {"stop": [read]})


@pytest.mark.parametrize("after", [b" extra", b"}", b'{"model": "n"}', b"\n\nnull", b"\0", b"\xff", b"]]"])
@pytest.mark.parametrize("before", [b"", b" \r\n\t"])
def test_what_stands_behind_the_first_value_is_not_read(before: bytes, after: bytes):
    assert decode(before + b'{"model": "m"}' + after, ChatRequest).model == "m"


@pytest.mark.parametrize("body", [b'{"context": [4.0, 5]}', b'{"CONTEXT": [4, 5.0e0]}'])
def test_an_integer_may_be_written_with_a_fraction_of_zero(body: bytes):
    assert decode(body, GenerateRequest).context == [4, 5]
    assert decode(b'{"top_logprobs": 2.0}', GenerateRequest).top_logprobs == 2


def test_a_field_may_be_in_any_case():
    written = rb"""{"MODEL": "m", "Messages": [{"Role": "user", "CONTENT": [{"TYPE": "text", "Text": "Hi"}],
        "Tool_Calls": [{"FUNCTION": {"Name": "f", "Arguments": {"City": "Paris"}}}]}], "\u017fTREAM": false,
        "options": {"Temperature": 1}, "format": {"Type": "object"}, "Unknown": 1}"""
    exact = b"""{"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}],
        "tool_calls": [{"function": {"name": "f", "arguments": {"City": "Paris"}}}]}], "stream": false,
        "options": {"Temperature": 1}, "format": {"Type": "object"}}"""
    assert decode(written, ChatRequest) == decode(exact, ChatRequest)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        (b'{"model": "exact", "MODEL": "folded"}', "folded"),
        (b'{"MODEL": "folded", "model": "exact"}', "exact"),
        (b'{"Model": "one", "MODEL": "two"}', "two"),
    ],
)
def test_of_two_spellings_the_later_counts(written: bytes, model: str):
    assert decode(written, ChatRequest).model == model


@given(st.sampled_from([ChatRequest, GenerateRequest, EmbedRequest]), st.data())
def test_any_case_of_any_field_is_the_field(kind: type[Any], data: st.DataObject):
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    fields = dict.fromkeys(data.draw(st.lists(st.sampled_from(names), unique=True)))
    spelled = {
        data.draw(st.sampled_from([name.upper(), name.title(), name.swapcase()])): None for name in fields
    }
    spelled["else"] = None
    assert decode(json.dumps(spelled).encode(), kind) == kind()
