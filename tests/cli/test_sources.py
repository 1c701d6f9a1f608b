"""Which files a path in a Modelfile stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.cli.connection import CommandFailed
from puna.cli.sources import files_at, looks_like_path, request_names


def make(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"GGUF" + name.encode())
    return folder


def names_at(path: Path) -> list[str]:
    return list(request_names(files_at(path)))


def test_a_folder_gives_what_a_conversion_needs_and_no_more(tmp_path: Path):
    folder = make(
        tmp_path / "model",
        *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "consolidated.safetensors"),
        *("config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja", "1_Pooling/config.json"),
        *("2_Dense/model.safetensors", "original/tokenizer.model", "README.md", "pytorch_model.bin"),
        *(".cache/huggingface/x.json", "a/b/c.json"),
    )
    assert names_at(folder) == [
        "1_Pooling/config.json",
        "2_Dense/model.safetensors",
        "chat_template.jinja",
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "tokenizer.json",
        "tokenizer.model",
    ]


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (["consolidated.safetensors", "model.gguf"], ["consolidated.safetensors"]),
        (
            ["adapter_model.safetensors", "adapter_config.json"],
            ["adapter_config.json", "adapter_model.safetensors"],
        ),
        (["a.gguf", "mmproj.gguf", "b.txt"], ["a.gguf", "mmproj.gguf"]),
        (["model.safetensors", "sub/tokenizer.model"], ["model.safetensors", "sub/tokenizer.model"]),
    ],
)
def test_other_folders(tmp_path: Path, there: list[str], wanted: list[str]):
    assert [
        file.relative_to(tmp_path).as_posix() for file in sorted(files_at(make(tmp_path, *there)))
    ] == wanted


def test_all_parts_of_a_split_file_come_whichever_was_named(tmp_path: Path):
    make(tmp_path, *(f"big-0000{n}-of-00003.gguf" for n in (1, 2, 3)), "big.gguf", "big-00001-of-00002.gguf")
    assert names_at(tmp_path / "big-00002-of-00003.gguf") == [f"big-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert names_at(tmp_path / "big.gguf") == ["big.gguf"]
    with pytest.raises(CommandFailed, match=r"big-00002-of-00002.gguf: no such file, one of the 2 parts"):
        files_at(tmp_path / "big-00001-of-00002.gguf")


def test_a_safetensors_file_comes_with_its_parts_and_its_configuration(tmp_path: Path):
    folder = make(
        tmp_path,
        *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "other.safetensors"),
        *("config.json", "tokenizer.model", "1_Pooling/config.json", "adapter.safetensors"),
    )
    beside = ["1_Pooling/config.json", "config.json"]
    assert names_at(folder / "adapter.safetensors") == sorted(
        [*beside, "adapter.safetensors", "tokenizer.model"]
    )
    parts = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert names_at(folder / "model-00002-of-00002.safetensors") == [*beside, *parts, "tokenizer.model"]


def test_what_cannot_be_used_is_named(tmp_path: Path):
    empty = make(tmp_path / "empty", "README.md")
    with pytest.raises(CommandFailed, match="empty: no safetensors or GGUF files found"):
        files_at(empty)
    pickled = make(tmp_path / "pickled", "pytorch_model.bin", "config.json")
    with pytest.raises(CommandFailed, match="no safetensors or GGUF files found; PyTorch's own files cannot"):
        files_at(pickled)
    pointer = make(tmp_path / "pointer", "config.json") / "model.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(CommandFailed, match=r"model.safetensors: a Git LFS pointer"):
        files_at(pointer.parent)
    secret = make(tmp_path / "home", "secret.json") / "secret.json"
    (make(tmp_path / "trap", "model.safetensors") / "config.json").symlink_to(secret)
    with pytest.raises(CommandFailed, match=r"insecure path: .*trap/config.json is a link out"):
        files_at(tmp_path / "trap")


def test_weights_of_another_kind_are_refused_before_they_are_sent(tmp_path: Path):
    make(tmp_path, "model.bin", "config.json")
    (tmp_path / "model.gguf").write_bytes(b"PK\3\4")
    assert names_at(tmp_path / "model.bin") == ["model.bin"]
    for path in (tmp_path, tmp_path / "model.gguf"):
        with pytest.raises(CommandFailed, match=r"model.gguf: neither a GGUF file nor safetensors"):
            files_at(path)


def test_a_link_keeps_its_name(tmp_path: Path):
    make(tmp_path, "blobs/sha256-abc")
    (tmp_path / "model.gguf").symlink_to(tmp_path / "blobs" / "sha256-abc")
    assert names_at(tmp_path / "model.gguf") == ["model.gguf"]


@pytest.mark.parametrize("text", ["./m", "../m", "/m", "~/m", ".", "m.gguf", "sub/model.safetensors"])
def test_paths(text: str):
    assert looks_like_path(text)


@pytest.mark.parametrize("text", ["llama3.2", "me/m:v1", "hf.co/me/m-GGUF:Q4_K_M", "localhost:5000/a/b"])
def test_names(text: str):
    assert not looks_like_path(text)


_PARTS = st.lists(st.sampled_from(["a", "b", "model.gguf", "x y"]), min_size=1, max_size=4)


@given(st.sets(_PARTS.map(lambda parts: Path("/", *parts)), min_size=1))
def test_request_names_are_relative_unique_and_lead_back(files: set[Path]):
    named = request_names(files)
    assert set(named.values()) == files
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in named)
