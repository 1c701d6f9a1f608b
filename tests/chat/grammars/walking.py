"""Random answers that a grammar admits, written by nobody's model."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection
from functools import lru_cache

import numpy as np

from puna.engine.grammar import Grammars
from puna.types import Grammar

# A regular expression, or a literal.
_LITERAL = re.compile(r'/(?:[^/\\\n]|\\.)+/|("(?:[^"\\\n]|\\.)+")')


class Bytes:
    """A vocabulary of all bytes, some words, control tokens and an end."""

    def __init__(self, control: Collection[str] = (), words: Collection[str] = ()) -> None:
        self.plain = [bytes([byte]) for byte in range(256)] + [word.encode() for word in words]
        self.tokens = [*self.plain, *(text.encode() for text in control), b"</s>"]
        self.n_vocab = len(self.tokens)
        self.end = self.n_vocab - 1

    def spell(self, token: int) -> bytes:
        return self.tokens[token]

    def piece(self, token: int) -> bytes:
        return self.tokens[token] if token < len(self.plain) else b""

    def ends(self, token: int) -> bool:
        return token == self.end

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return list(text.encode())


@lru_cache(maxsize=256)
def grammars(control: frozenset[str]) -> tuple[Bytes, Grammars]:
    vocabulary = Bytes(sorted(control))
    return vocabulary, Grammars(vocabulary)


def admitted(grammar: Grammar, text: str, control: Collection[str] = ()) -> bool:
    """Whether `text` is a whole answer; what `control` names in it is one token."""
    vocabulary, compiled = grammars(frozenset(control))
    matcher = compiled.matcher(grammar)
    pattern = "|".join(map(re.escape, sorted(control, key=len, reverse=True)))
    for part in re.split(f"({pattern})", text) if control else [text]:
        special = vocabulary.tokens.index(part.encode(), 256) if part in control else None
        tokens = [special] if special is not None else list(part.encode())
        if not all(matcher.allows(token) for token in tokens):
            return False
    return matcher.finished or matcher.allows(vocabulary.end)


def walk(
    grammar: Grammar,
    control: Collection[str],
    seed: int,
    begin: str = "",
    *,
    steps: int = 250,
    python: bool = False,
) -> str | None:
    """A random answer that begins with `begin`; None when it came to no end.

    It takes what the grammar's own literals spell more often than chance would, and any byte otherwise.
    `python`: calls are in Python's notation.
    """
    chance = random.Random(seed)
    vocabulary, compiled = grammars(frozenset(control))
    matcher = compiled.matcher(grammar)
    outside = "\n".join(line for line in grammar.source.splitlines() if "%json" not in line)
    texts = {json.loads(found) for found in _LITERAL.findall(outside) if found}
    hints = sorted(
        {*texts, *grammar.markers, '"', "}", "]", ",", '{"', "[", "1", "é", '\\"', "\\n", "\n", ": "}
    )
    tags = sorted(text for text in {*texts, *grammar.markers} if text.startswith("<"))
    ends = [text for text in tags if text.startswith("</")]
    # In Python's notation, a string ends only before these.
    strings = [quote + end for quote in "\"'" for end in "),]}"] if python else []
    closers = [
        '"',
        "}",
        "]",
        *strings,
        *grammar.markers,
        *(one + other for one in ends for other in ["", *tags]),
    ]
    written: list[int] = []

    def type_in(text: str) -> None:
        for byte in text.encode():
            if not matcher.allows(byte):
                return
            written.append(byte)

    type_in(begin)
    logits = np.zeros(vocabulary.n_vocab, np.float32)
    for step in range(6 * steps):
        if matcher.finished:
            break
        if (step > steps or chance.random() < 0.005) and matcher.allows(vocabulary.end):
            break
        roll = chance.random()
        if roll < (0.25 if step < steps else 0.5):
            type_in(chance.choice(chance.choice([hints, closers]) if step < steps else closers))
            continue
        logits[:] = 0
        matcher.constrain(logits)
        allowed = np.flatnonzero(logits == 0).tolist()
        likely = [token for token in allowed if token < 128 or token >= 256] or allowed
        token = chance.choice(allowed if roll < 0.35 else likely)
        if token == vocabulary.end:
            if len(allowed) > 1 and step < steps:
                continue
            break
        assert matcher.allows(token)
        written.append(token)
    else:
        return None
    return b"".join(map(vocabulary.spell, written)).decode()
