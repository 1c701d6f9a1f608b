"""The page says everything in English and in Chinese."""

from __future__ import annotations

import re

from puna.web import FILES

_SAID = re.compile(r'\bsay\((?:[\w.]+ \? )?"(\w+)"(?: : "(\w+)")?\)')


def test_every_word_of_the_page_is_there_in_both_languages():
    words = FILES["app/words.js"].read_text()
    pairs = re.findall(r"^  (\w+): \[(.+)\],$", words, re.MULTILINE)
    known = {key for key, _ in pairs}
    assert len(known) == len(pairs) > 100
    for key, pair in pairs:
        found = re.fullmatch(r"""("[^"]+"|'[^']+'), ("[^"]+"|'[^']+')""", pair)
        assert found, key
        assert found[1] != found[2], key
    files = {name: path.read_text() for name, path in FILES.items() if name.startswith("app/")}
    for name, text in files.items():
        for said in _SAID.findall(text):
            assert {word for word in said if word} <= known, (name, said)
