"""Unique ids of messages, requests and answers."""

from __future__ import annotations

from secrets import token_hex


def new_id(kind: str, size: int = 12) -> str:
    """`kind`, then `size` random bytes in hex: `msg_0123…`."""
    return f"{kind}_{token_hex(size)}"
