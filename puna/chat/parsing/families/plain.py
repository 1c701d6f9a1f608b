"""Models that write nothing but text."""

from __future__ import annotations

from puna.chat.parsing.tagged import Tagged

PLAIN = Tagged()
