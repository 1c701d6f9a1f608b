"""Names of models: what is filled in, what is refused, and that no name leaves the store."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import InvalidName
from puna.library import Name

PART = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z")
NAMESPACE = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_-]{0,79}\Z")
HOST = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}\Z")
NAMES = st.builds(Name, host=HOST, namespace=NAMESPACE, model=PART, tag=PART)

# What people and attackers write: the separators matter more than the letters.
WRITTEN = st.text(alphabet="aZ0_-./:\\~ \0\n%é", max_size=30) | st.text(max_size=100)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("qwen3", "registry.ollama.ai/library/qwen3:latest"),
        ("smollm2:135m", "registry.ollama.ai/library/smollm2:135m"),
        ("someone/model", "registry.ollama.ai/someone/model:latest"),
        ("hf.co/someone/Model-GGUF:Q4_K_M", "hf.co/someone/Model-GGUF:Q4_K_M"),
        ("localhost:5000/someone/model:v1.2", "localhost:5000/someone/model:v1.2"),
        ("http://localhost:5000/someone/model", "localhost:5000/someone/model:latest"),
        ("https://hf.co/someone/model", "hf.co/someone/model:latest"),
        ("h" * 350 + "/" + "n" * 80 + "/" + "m" * 80 + ":" + "t" * 80, None),
    ],
)
def test_missing_parts_are_filled_in(text: str, full: str | None) -> None:
    assert str(Name.parse(text)) == (full or text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "model:",
        ":tag",
        "/model",
        "namespace/",
        "a//b",
        "a/b/c/d",
        "host//model",
        "model:tag:tag",
        "..",
        "../model",
        "a/../b",
        "../../etc/passwd",
        "/etc/passwd",
        "model:..",
        "model:../../x",
        ".hidden",
        "-option",
        "name.space/model",
        "a b",
        "model\n",
        "mödel",
        "model:t\0",
        "a\\b",
        "ftp://host/namespace/model",
        "https://model",
        "https://host/model",
        "m" * 81,
        "model:" + "t" * 81,
        "n" * 81 + "/model",
        "h" * 351 + "/namespace/model",
    ],
)
def test_invalid_names_are_refused_in_ollamas_words(text: str) -> None:
    with pytest.raises(InvalidName, match=r"^invalid model name$"):
        Name.parse(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("qwen3", "qwen3:latest"),
        ("registry.ollama.ai/library/qwen3:8b", "qwen3:8b"),
        ("Registry.Ollama.AI/Library/qwen3:8b", "qwen3:8b"),
        ("someone/model", "someone/model:latest"),
        ("hf.co/library/model", "hf.co/library/model:latest"),
    ],
)
def test_display_drops_only_defaults(text: str, short: str) -> None:
    assert Name.parse(text).display() == short


@given(NAMES)
def test_every_name_survives_being_written_and_read(name: Name) -> None:
    assert Name.parse(str(name)) == name
    assert Name.from_path(str(name.path())) == name
    assert str(Name.parse(name.display())).lower() == str(name).lower()


@given(WRITTEN)
def test_nothing_that_leaves_a_directory_ever_parses(text: str) -> None:
    for read in (Name.parse, Name.from_path):
        try:
            name = read(text)
        except InvalidName:
            continue
        path = name.path()
        assert len(path.parts) == 4
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert all(part.isascii() and part.isprintable() and part[0] != "." for part in path.parts)
        assert (Path("/models") / path).resolve().parts[:2] == ("/", "models")


@given(HOST)
def test_a_host_that_looks_like_a_drive_stays_below_the_store(host: str) -> None:
    name = Name.parse(f"{host}/library/model")
    joined = PureWindowsPath(f"C:\\models\\manifests/{name.path()}")
    assert joined.is_relative_to(PureWindowsPath("C:\\models\\manifests"))
    assert name.path() == PurePosixPath(host, "library", "model", "latest")
