"""The store against a model of it, whatever order its operations come in."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from puna.errors import NotFound
from puna.library import Library, Name
from tests.library.stores import put

WORDS = st.sampled_from(["a", "b", "A", "x/a", "a:1", "h.io/x/a:1"])
CONTENTS = st.sampled_from([b"one", b"two", b"three"])


class Shelves(RuleBasedStateMachine):
    """Whatever is written, copied, deleted and pruned: the models are those of a dictionary, and whole."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.library = Library(Path(self.folder.name))
        self.expected: dict[str, bytes] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(target=names, name=WORDS, content=CONTENTS)
    def write(self, name: str, content: bytes) -> str:
        put(self.library, name, content, system=name.lower())
        self.expected[str(Name.parse(name)).lower()] = content
        return name

    @rule(target=names, source=names, name=WORDS)
    def copy(self, source: str, name: str) -> str:
        known = self.expected.get(str(Name.parse(source)).lower())
        if known is None:
            with pytest.raises(NotFound):
                self.library.copy(source, name)
        else:
            self.library.copy(source, name)
            self.expected[str(Name.parse(name)).lower()] = known
        return name

    @rule(name=consumes(names))
    def delete(self, name: str) -> None:
        if self.expected.pop(str(Name.parse(name)).lower(), None) is None:
            with pytest.raises(NotFound):
                self.library.delete(name)
        else:
            self.library.delete(name)

    @rule()
    def age_and_prune(self) -> None:
        for path in self.library.root.glob("blobs/*"):
            os.utime(path, (0, 0))
        self.library.prune()

    @invariant()
    def same_models(self) -> None:
        for library in (self.library, Library(self.library.root)):
            found = {str(model.name).lower(): model.weights.read_bytes() for model in library.list()}
            assert found == self.expected
        named = {
            self.library.blobs.path(digest).name
            for path in self.library.root.glob("manifests/*/*/*/*")
            for digest in [part["digest"] for part in self._parts(path)]
        }
        assert named <= {path.name for path in self.library.root.glob("blobs/*")}
        if not self.expected:
            assert list(self.library.root.glob("manifests/*")) == []

    @staticmethod
    def _parts(path: Path) -> list[dict[str, str]]:
        manifest = json.loads(path.read_bytes())
        return [manifest["config"], *manifest["layers"]]


Shelves.TestCase.settings = settings(max_examples=10, stateful_step_count=12, deadline=None)
TestShelves = Shelves.TestCase
