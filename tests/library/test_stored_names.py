"""Names as a store spells them, and what lies there that is none."""

from __future__ import annotations

import pytest

from puna.errors import InvalidName, NotFound, PunaError
from puna.library import Library, Name
from tests.library.stores import displayed, layer, manifest_path, put


def test_names_are_found_whatever_their_case(library: Library) -> None:
    put(library, "Someone/Qwen3:Q4_K_M")
    for text in ("someone/qwen3:q4_k_m", "SOMEONE/Qwen3:Q4_k_M", "REGISTRY.OLLAMA.AI/someone/qwen3:q4_K_M"):
        assert str(library.open(text).name) == "registry.ollama.ai/Someone/Qwen3:Q4_K_M"
    assert library.resolve("someone/QWEN3:new").display() == "Someone/Qwen3:new"
    assert library.resolve("other/Model").display() == "other/Model:latest"


def test_a_new_tag_joins_the_model_in_its_case(library: Library) -> None:
    put(library, "Qwen3:a")
    put(library, "qwen3:b")
    assert displayed(library) == ["Qwen3:a", "Qwen3:b"]


def test_the_exact_name_wins_over_one_that_differs_in_case(library: Library) -> None:
    put(library, "Model:a")
    told_apart = not (library.root / "MANIFESTS").exists()
    for spelling in ("model/latest", "MODEL/latest", "MODEL/b"):
        path = library.root / "manifests/registry.ollama.ai/library" / spelling
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(manifest_path(library, "Model:a").read_bytes())
    names = {"model": "model:latest", "MODEL": "MODEL:latest", "model:b": "MODEL:b", "model:A": "Model:a"}
    for name, found in names.items():
        # On a file system that does not tell case apart, all lie in the first one's folder.
        assert library.resolve(name).display() == (found if told_apart else f"Model:{found.split(':')[1]}")


def test_unknown_and_invalid_names_are_told_apart(library: Library) -> None:
    for text in ("Nope", "nope:1b", "a/b/c"):
        for ask in (library.open, library.delete):
            with pytest.raises(NotFound, match=rf"^model '{text}' not found$"):
                ask(text)
    for ask in (library.open, library.delete, library.resolve):
        with pytest.raises(InvalidName, match=r"^invalid model name$"):
            ask("../x")


def test_strange_files_among_the_manifests_are_passed_over(library: Library) -> None:
    put(library, "model")
    manifests = library.root / "manifests"
    (manifests / ".DS_Store").write_text("")
    (manifests / "registry.ollama.ai" / ".DS_Store").write_text("")
    (manifests / "registry.ollama.ai" / "library" / "model" / ".hidden").write_text("")
    (manifests / "registry.ollama.ai" / "library" / "model" / "folder").mkdir()
    (manifests / "registry.ollama.ai" / "library" / "bad name").mkdir()
    (manifests / "registry.ollama.ai" / "library" / "bad name" / "latest").write_text("{}")
    assert displayed(library) == ["model:latest"]
    with pytest.raises(NotFound):
        library.open("model:folder")


def test_a_name_too_long_for_the_disk_is_no_crash(library: Library) -> None:
    text = "h" * 300 + "/someone/model"
    with pytest.raises(NotFound):
        library.open(text)
    with pytest.raises(PunaError, match="cannot write to"):
        library.write_manifest(Name.parse(text), {}, [layer(library, "model", b"weights")])
    assert library.list() == []


def test_hosts_with_a_port_and_without_colons_are_both_read(library: Library) -> None:
    """Windows has no colons in names of folders: there a host is stored with another character."""
    for name in ("localhost:5000/someone/model", "localhost-5000/someone/model", "localhost_5000/a/b:c"):
        put(library, name)
    assert displayed(library) == [
        "localhost-5000/someone/model:latest",
        "localhost:5000/someone/model:latest",
        "localhost_5000/a/b:c",
    ]
