"""Round trip: the Modelfile that `show` gives makes the model again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.engine import quantize as engine_quantize
from puna.library import Library, Model, Recipe, create, show
from puna.modelfile import parse
from puna.types import Message
from tests.library.create.making import adapter, blob, made, small_gguf, unknown
from tests.models import scripted_model


def recreated(library: Library, text: str) -> Model:
    """What a client makes of a Modelfile: files by their digests, everything else as it is."""
    found = parse(text.encode())
    local = [Path(source) for source in found.sources if Path(source).is_absolute()]
    recipe = Recipe(
        base="" if local else found.sources[0],
        files=sent(library, local) or None,
        adapters=sent(library, map(Path, found.adapters)),
        template=found.template,
        system=found.system,
        licenses=list(found.licenses),
        parameters=found.parameters,
        messages=list(found.messages),
        renderer=found.renderer,
        parser=found.parser,
        requires=found.requires,
    )
    create(library, "again", recipe, lambda _: None, engine_quantize, unknown)
    return library.open("again")


def sent(library: Library, paths: Iterable[Path]) -> dict[str, str]:
    return {f"{number}.gguf": blob(library, path) for number, path in enumerate(paths)}


def essence(model: Model) -> dict[str, Any]:
    return {
        "files": (model.weights, set(model.projectors), set(model.adapters)),
        "texts": (model.template or "", model.system, model.licenses, model.messages),
        "parameters": model.parameters,
        "config": {key: value for key, value in model.config.items() if key != "rootfs"},
    }


texts = st.one_of(
    st.text(st.sampled_from(list('"# \t\na{}é\u3000')), max_size=8),
    st.sampled_from(['"""\nx', 'say "hi"', "two\nlines\n", "FROM x", ""]),
)
recipes = st.fixed_dictionaries(
    {
        "template": texts,
        "system": texts,
        "licenses": st.lists(texts.filter(bool), max_size=2),
        "parameters": st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.floats(0, 2),
                "seed": st.integers(-5, 5),
                "use_mmap": st.booleans(),
                "stop": st.lists(texts, max_size=2),
            },
        ),
        "messages": st.lists(
            st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts),
            max_size=2,
        ),
        "renderer": st.sampled_from(["", "qwen3"]),
        "requires": st.sampled_from(["", "0.14.0", "not one"]),
    }
)


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=60,
)
@given(recipe=recipes)
def test_the_modelfile_that_is_shown_makes_the_model_again(tmp_path: Path, recipe: dict[str, Any]):
    library = Library(tmp_path / "my models")
    files = {}
    if not (tmp_path / "model.gguf").exists():
        scripted_model(tmp_path / "model.gguf", "hello")
        adapter(tmp_path / "lora.gguf")
        small_gguf(tmp_path / "mm.gguf", "clip", general__type="mmproj")
    for name in ("model.gguf", "mm.gguf", "lora.gguf"):
        files[name] = blob(library, tmp_path / name)
    model = made(library, "original", files=files, **recipe)
    assert essence(recreated(library, show(model, []).modelfile)) == essence(model)


def test_a_text_no_modelfile_can_hold_is_taken_from_the_model_itself(library: Library, gguf: Path):
    unsayable = 'Answer in Python:\n"""\ndocs\n"""\n'
    files = {"m.gguf": blob(library, gguf)}
    model = made(library, "original", files=files, system=unsayable, template="T", licenses=["L"])
    text = show(model, []).modelfile
    assert 'cannot hold this SYSTEM: a line in it ends in """' in text
    assert text.endswith('FROM original:latest\nTEMPLATE "T"\n')
    assert essence(recreated(library, text)) == essence(model)
