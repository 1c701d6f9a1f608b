"""Bodies: what is wrong with one is said in the words of JSON, with the field's name."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.server.body import decode
from puna.server.native.requests import ChatBody, EmbedBody, GenerateBody
from puna.types import BadRequest

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
        (
            b'{"model": "m"} extra',
            "invalid JSON in request body: JSON is malformed: trailing characters (byte 16)",
        ),
        (b'{"model": "\xff"}', "invalid JSON in request body: "),
        (b"[" * 100_000, "invalid "),
        (b'["m"]', "invalid request body: Expected `object`, got `array`"),
        (b'{"model": 5}', 'invalid value for "model": expected string, got integer'),
        (b'{"stream": "yes"}', 'invalid value for "stream": expected boolean, got string'),
        (b'{"messages": "hello"}', 'invalid value for "messages": expected array, got string'),
        (
            b'{"messages": [{"role": 1}]}',
            'invalid value for "messages[0].role": expected string, got integer',
        ),
        (b'{"messages": [{"content": "hello"}]}', "messages[0]"),
        (b'{"keep_alive": true}', 'invalid value for "keep_alive": expected number | string, got boolean'),
        (b'{"options": [1]}', 'invalid value for "options": expected object, got array'),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(body: bytes, message: str):
    with pytest.raises(BadRequest) as refusal:
        decode(body, ChatBody)
    assert message in str(refusal.value)


def test_unknown_fields_and_nulls_count_as_left_out():
    nulls = dict.fromkeys(GenerateBody.__struct_fields__)
    assert decode(json.dumps({**nulls, "logit_bias": {"7": 1}}).encode(), GenerateBody) == GenerateBody()


@given(JSON)
def test_any_json_is_decoded_or_refused(value: object):
    with suppress(BadRequest):
        body = decode(json.dumps(value).encode(), EmbedBody)
        assert isinstance(value, dict)
        assert body.input == value.get("input")


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(body: bytes):
    with suppress(BadRequest):
        assert isinstance(decode(body, ChatBody), ChatBody)
