"""Files in the form of Ollama's own converter answer as those in libllama's form do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from puna.engine.ollama_gguf import PROJECTOR_INSIDE, language_model, projector
from puna.errors import LoadFailed
from puna.gguf import Metadata, read_metadata
from puna.library import Library, model, show
from puna.library.convert import convert
from puna.types import Image
from tests import ollama_models, ollama_qwen25
from tests.engine.asking import loaded
from tests.engine.seeing import next_logprobs
from tests.engine.test_vision import close, likeliest
from tests.library.convert.test_families import CASES, make, nothing
from tests.library.libllama import loaded as loaded_bare
from tests.models import install, scripted_model, shape_model
from tests.vision_models import gemma3_model, vision_model

CAT = Image(150, 140, np.random.default_rng(1).integers(0, 256, (140, 150, 3), np.uint8).tobytes())
PROMPT = "Here is <__media__> and then?"


@pytest.fixture(scope="module")
def gemma3(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Model and projector as libllama wants them, and a file that is both as Ollama writes it."""
    folder = tmp_path_factory.mktemp("gemma3")
    text, sight = gemma3_model(folder)
    return text, sight, ollama_models.gemma3(text, sight, folder / "one.gguf")


async def test_a_gemma_3_with_its_projector_inside_sees(gemma3: tuple[Path, Path, Path]):
    text, sight, one = gemma3
    expected = sorted(next_logprobs(text, sight, PROMPT, [CAT]), reverse=True)[:20]
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert engine.info.vision
        assert await likeliest(engine, PROMPT, CAT) == close(expected)
    async with loaded(one, num_ctx=1024) as engine:
        blind = await likeliest(engine, "Hello")
    async with loaded(text, num_ctx=1024) as engine:
        assert await likeliest(engine, "Hello") == close(blind)


async def test_a_qwen_2_5_vl_with_its_projector_inside_sees(tmp_path: Path):
    text, sight = ollama_qwen25.qwen2vl(tmp_path)
    one = ollama_qwen25.qwen25vl(text, sight, tmp_path / "one.gguf")
    expected = sorted(next_logprobs(text, sight, PROMPT, [CAT], least=256), reverse=True)[:20]
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert await likeliest(engine, PROMPT, CAT) == close(expected)


def test_its_file_is_read_and_not_changed(gemma3: tuple[Path, Path, Path]):
    before = gemma3[2].read_bytes()
    with language_model(str(gemma3[2])) as text:
        header = read_metadata(Path(text))
        assert not any(tensor.name.startswith(("v.", "mm.")) for tensor in header.tensors)
        assert header.get("gemma3.rope.freq_base_swa") == np.float32(1000.0)
    with projector(str(gemma3[2])) as sight:
        header = read_metadata(Path(sight))
        assert header.get("general.architecture") == "clip"
        assert all(tensor.name.startswith(("v.", "mm.")) for tensor in header.tensors)
    assert gemma3[2].read_bytes() == before
    assert not Path(text).exists() or text == str(gemma3[2])


def test_a_gpt_oss_under_its_old_name(tmp_path: Path):
    make(tmp_path / "hf", CASES["gptoss"], "BF16")
    convert(tmp_path / "hf", tmp_path / "new.gguf", nothing)
    old = ollama_models.gptoss(tmp_path / "new.gguf", tmp_path / "old.gguf")
    tokens = [5, 9, 2, 40, 33]
    with loaded_bare(tmp_path / "new.gguf") as bare:
        expected = bare.logits(tokens)
    with language_model(str(old)) as readable, loaded_bare(Path(readable)) as bare:
        assert np.array_equal(bare.logits(tokens), expected)


async def test_an_embeddinggemma_that_calls_itself_a_gemma_3(tmp_path: Path):
    ollama_models.gemma_embedding(tmp_path / "new.gguf")
    old = ollama_models.embeddinggemma(tmp_path / "new.gguf", tmp_path / "old.gguf")
    vectors: list[list[list[float]]] = []
    for path in (tmp_path / "new.gguf", old):
        async with loaded(path, num_ctx=256, embedding=True) as engine:
            vectors.append((await engine.embed(["Hello there", "Goodbye"], truncate=True)).vectors)
    assert vectors[0] == vectors[1]
    assert len(set(map(tuple, vectors[0]))) == 2


async def test_a_projector_from_before_projectors_had_kinds(tmp_path: Path):
    text, sight = vision_model(tmp_path)
    old = ollama_models.rewritten([sight], tmp_path / "old.gguf", "clip", without=("clip.projector_type",))
    async with loaded(text, projector=sight, num_ctx=1024) as engine:
        expected = await likeliest(engine, PROMPT, CAT)
    async with loaded(text, projector=old, num_ctx=1024) as engine:
        assert await likeliest(engine, PROMPT, CAT) == close(expected)


async def test_of_a_mistral_3_the_language_model_is_read(tmp_path: Path):
    text, sight = vision_model(tmp_path)
    new = ollama_models.rewritten([text], tmp_path / "new.gguf", "mistral3", key=as_mistral)
    one = ollama_models.rewritten(
        [text, sight],
        tmp_path / "one.gguf",
        "mistral3",
        key=as_mistral,
        more={"mistral3.rope.scaling.beta_fast": 30.0, "mistral3.rope.scaling_beta": 0.1},
    )
    with language_model(str(one)) as path:
        header = read_metadata(Path(path))
        assert header.get("mistral3.rope.scaling.yarn_beta_fast") == 30.0
        assert header.get("mistral3.attention.temperature_scale") == np.float32(0.1)
        assert header.get("tokenizer.ggml.pre") == "tekken"
        assert shapes(header) == shapes(read_metadata(new))
    with language_model(str(new)) as path:
        assert path == str(new)


def shapes(metadata: Metadata) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tensor.shape for tensor in metadata.tensors}


def as_mistral(key: str) -> str:
    return key.replace("llama.", "mistral3.")


async def test_of_a_llama_4_the_language_model_is_read(tmp_path: Path):
    text, sight = vision_model(tmp_path)
    one = ollama_models.rewritten([text, sight], tmp_path / "one.gguf", "llama4")
    with language_model(str(one)) as path:
        header = read_metadata(Path(path))
        assert shapes(header) == shapes(read_metadata(text))


async def test_a_family_with_its_projector_inside_that_nobody_knows_is_refused(tmp_path: Path):
    one = ollama_models.rewritten(list(vision_model(tmp_path)), tmp_path / "one.gguf", "llama")
    with pytest.raises(LoadFailed, match='this "llama" keeps its projector inside, which is not supported'):
        async with loaded(one):
            pass


@pytest.mark.parametrize("make_model", [shape_model, lambda path: scripted_model(path, "x")])
def test_what_libllama_reads_is_read_where_it_is(tmp_path: Path, make_model: object):
    assert callable(make_model)
    make_model(tmp_path / "m.gguf")
    for part in (language_model, projector):
        with part(str(tmp_path / "m.gguf")) as path:
            assert path == str(tmp_path / "m.gguf")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + b"\xff" * 100])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "m.gguf").write_bytes(content)
    for part in (language_model, projector):
        with pytest.raises(LoadFailed, match=r"m\.gguf: "), part(str(tmp_path / "m.gguf")):
            pass


async def test_a_file_cut_after_its_header(tmp_path: Path, gemma3: tuple[Path, Path, Path]):
    cut, content = tmp_path / "cut.gguf", gemma3[2].read_bytes()
    for size in (len(content) // 2, len(content) - 1000):
        cut.write_bytes(content[:size])
        with pytest.raises(LoadFailed, match=r"cut\.gguf: it is truncated"):
            async with loaded(cut, projector=cut):
                pass


def test_the_library_knows_which_projectors_are_read(tmp_path: Path, gemma3: tuple[Path, Path, Path]):
    assert model.PROJECTOR_INSIDE == PROJECTOR_INSIDE
    install(tmp_path / "models", "seeing", gemma3[2])
    install(tmp_path / "models", "blind", gemma3[0])
    library = Library(tmp_path / "models")
    seeing, blind = library.open("seeing"), library.open("blind")
    assert (seeing.projectors, blind.projectors) == ((seeing.weights,), ())
    assert "vision" in seeing.capabilities()
    assert "vision" not in blind.capabilities()
    assert show(seeing, []).modelfile.count("\nFROM ") == 1
    assert show(seeing, []).projector_info == {}
