"""The names that notations can write, as regular expressions."""

from __future__ import annotations

IN_JSON = r"\S(?s:.*\S)?"
IN_TAGS = r"[^<>\s]+"
IN_TAGS_WITH_SPACES = r"[^<>\s](?:[^<>\n]*[^<>\s])?"
IN_ATTRIBUTE = r'[^"<>\s](?:[^"<>\n]*[^"<>\s])?'
IDENTIFIER = r"\w[\w.-]*"
PATH = r"[\w.:/-]+"
