"""Word wrap for text that arrives in pieces.

A word is printed letter by letter. If it passes the edge, the output erases it and repeats it on the next
line. Chinese, Japanese and Korean text breaks between any two characters, except before closing and after
opening punctuation.
"""

from __future__ import annotations

_CLOSING = frozenset("、。，．：；？！）」』】》〉〕”’…—ー")
_OPENING = frozenset("（「『【《〈〔“‘")
_TAB = 8


def printable(text: str) -> str:
    """The text without control characters, so that a model or a registry cannot control the terminal."""
    return "".join(ch for ch in text if ch in "\n\t" or (ch >= " " and not "\x7f" <= ch <= "\x9f"))


class Wrapper:
    """Turns pieces of text into terminal output. Starts at the left edge."""

    def __init__(self) -> None:
        from rich.cells import get_character_cell_size

        self._cells = get_character_cell_size
        self._column = 0
        self._word = ""
        self._before = " "

    def feed(self, text: str, width: int) -> str:
        """The output for `text` on lines of at most `width` columns; `width` may change between calls."""
        return "".join(self._character(ch, width) for ch in printable(text))

    def _character(self, ch: str, width: int) -> str:
        if ch == "\n":
            self._column, self._word, self._before = 0, "", " "
            return ch
        cells = _TAB - self._column % _TAB if ch == "\t" else self._cells(ch)
        if cells == 0:
            # A combining mark stays with the character before it.
            self._word += ch if self._word else ""
            return ch
        if ch in " \t" or self._may_break(ch, cells):
            self._word = ""
        self._before = ch
        if ch in " \t":
            if self._column + cells > width:
                self._column = width  # The line break that follows replaces this space.
                return ""
            self._column += cells
            return ch
        word, back = self._word, sum(map(self._cells, self._word))
        self._word += ch
        if self._column + cells <= width:
            self._column += cells
            return ch
        if back + cells > width:
            word, back, self._word = "", 0, ch  # A word longer than a line is broken.
        self._column = back + cells
        return (f"\x1b[{back}D\x1b[K" if back else "") + f"\n{word}{ch}"

    def _may_break(self, ch: str, cells: int) -> bool:
        if ch in _CLOSING or self._before in _OPENING:
            return False
        return cells == 2 or self._cells(self._before) == 2
