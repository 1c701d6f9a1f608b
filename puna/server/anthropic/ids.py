"""Names for messages and requests, of Anthropic's form."""

from __future__ import annotations

from secrets import token_hex


def new_id(kind: str) -> str:
    """A name nothing else has: `msg_` or `req_`, and 24 hexadecimal digits."""
    return f"{kind}_{token_hex(12)}"
