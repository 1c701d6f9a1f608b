"""Qwen 3 VL and Qwen 3.5 as one file of Ollama's own converter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from puna.engine.drafts import has_head
from puna.engine.ollama_gguf import language_header, language_model, projector
from puna.errors import LoadFailed
from puna.gguf import read_metadata
from puna.load import LoadSpec
from puna.types import Image
from tests import ollama_qwen
from tests.engine.asking import loaded
from tests.engine.seeing import next_logprobs
from tests.engine.test_vision import close, likeliest
from tests.library.libllama import loaded as loaded_bare
from tests.mtp_models import Family, random_mtp_model
from tests.ollama_models import assert_same_tensors, rewritten
from tests.vision_models import qwen3vl_model, qwen35_model

CAT = Image(150, 140, np.random.default_rng(1).integers(0, 256, (140, 150, 3), np.uint8).tobytes())
PROMPT = "Here is <__media__> and then?"
HYBRIDS: tuple[Family, ...] = ("qwen35", "qwen35moe")


async def test_a_qwen_3_vl_with_its_projector_inside_sees(tmp_path: Path):
    text, sight = qwen3vl_model(tmp_path)
    one = ollama_qwen.qwen3vl(text, sight, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same_tensors(path, sight)
    expected = sorted(next_logprobs(text, sight, PROMPT, [CAT], least=256), reverse=True)[:20]
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert engine.info.vision
        assert await likeliest(engine, PROMPT, CAT) == close(expected)


def test_an_older_qwen_3_vl_gets_the_values_of_its_family(tmp_path: Path):
    text, sight = qwen3vl_model(tmp_path)
    lacking = ("rope.dimension_sections", "n_deepstack_layers")
    one = ollama_qwen.qwen3vl(text, sight, tmp_path / "one.gguf", without=lacking)
    with language_model(str(one)) as path:
        header = read_metadata(Path(path))
        assert_same_tensors(path, text)
        assert header.get("qwen3vl.n_deepstack_layers") == 2
        assert header.get("qwen3vl.rope.dimension_sections") == [24, 20, 20, 0]


async def test_a_qwen_3_5_with_its_projector_inside_sees(tmp_path: Path):
    text, sight = qwen35_model(tmp_path)
    one = ollama_qwen.qwen35(text, sight, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same_tensors(path, sight)
    expected = sorted(next_logprobs(text, sight, PROMPT, [CAT]), reverse=True)[:20]
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert await likeliest(engine, PROMPT, CAT) == close(expected)


@pytest.mark.parametrize("family", HYBRIDS)
@pytest.mark.parametrize("raised", [False, True])
def test_a_qwen_3_5_is_read_with_its_mtp_layer(tmp_path: Path, family: Family, raised: bool):
    random_mtp_model(tmp_path / "new.gguf", family=family)
    old = ollama_qwen.qwen35(tmp_path / "new.gguf", None, tmp_path / "old.gguf", raised=raised)
    tokens = [5, 9, 2, 40, 33]
    with loaded_bare(tmp_path / "new.gguf") as bare:
        expected = bare.logits(tokens)
    with language_model(str(old), mtp=True) as path:
        assert_same_tensors(path, tmp_path / "new.gguf")
        header, written = language_header(old), read_metadata(Path(path))
        assert [(one.name, one.shape, one.type_name) for one in header.tensors] == [
            (one.name, one.shape, one.type_name) for one in written.tensors
        ]
        assert header.values == written.values
        with loaded_bare(Path(path)) as bare:
            assert np.array_equal(bare.logits(tokens), expected)
    assert has_head(LoadSpec(path=str(old), num_ctx=512, pool=512, parallel=1, rollback=3))
    with language_model(str(tmp_path / "new.gguf")) as path:
        assert path == str(tmp_path / "new.gguf")


def test_an_mtp_layer_that_is_not_used_is_no_layer(tmp_path: Path):
    """A placement on devices counts the layers that the file's own values name."""
    random_mtp_model(tmp_path / "new.gguf", family="qwen35")
    old = ollama_qwen.qwen35(tmp_path / "new.gguf", None, tmp_path / "old.gguf")
    with language_model(str(old)) as path:
        header = read_metadata(Path(path))
    assert header.get("qwen35.block_count") == read_metadata(old).get("qwen35.block_count") == 2
    assert not any(tensor.name.startswith(("mtp.", "blk.2.")) for tensor in header.tensors)


def test_a_patch_embedding_of_another_shape_is_refused(tmp_path: Path):
    text, sight = qwen3vl_model(tmp_path)
    one = rewritten([text, sight], tmp_path / "one.gguf", "qwen3vl")
    with (
        pytest.raises(LoadFailed, match=r"v\.patch_embed\.weight does not have the shape"),
        projector(str(one)),
    ):
        pass
