"""A GPU for machines without one: `make test-gpu` runs these tests on Mesa's software driver for Vulkan.

Compiler, headers and driver come as Debian packages, only unpacked, into a folder outside the checkout; so
does libllama, compiled for Vulkan. Both are made once a machine. The headers are Debian 13's, because Debian
12's are too old.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from puna.engine import building

UNAVAILABLE = 77
"""The exit status where the packages cannot be had, as Automake has it for a test that cannot be run."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "puna" / "software-gpu"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
HEADERS = ("libvulkan-dev", "spirv-headers")
TOOLS = ("glslc", "mesa-vulkan-drivers", "libvulkan1")


def unpacked() -> Path:
    """The folder `usr` of the packages."""
    root = CACHE / "packages"
    if root.exists():
        return root / "usr"
    work = CACHE / "work"
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("lists", "archives", "own/lists", "own/archives"):
        (work / folder / "partial").mkdir(parents=True)
    (work / "root").mkdir()
    # The lists of this system's packages, too: a new machine has none yet.
    own = [f"Dir::State::lists={work}/own/lists", f"Dir::Cache={work}/own", "Debug::NoLocking=1"]
    _apt(["update"], own)
    (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror(own)} trixie main\n")
    newer = [f"Dir::Etc::sourcelist={work}/sources.list", "Dir::Etc::sourceparts=-"]
    newer += [f"Dir::State::lists={work}/lists", f"Dir::Cache={work}"]
    _apt(["update"], newer)
    _apt(["download", *HEADERS], newer, cwd=work)
    # What is installed is left out, and is there already.
    install = ["install", "--yes", "--download-only", "--no-install-recommends", "--reinstall", *TOOLS]
    _apt(install, own)
    for package in sorted(work.rglob("*.deb")):
        subprocess.run(["dpkg", "-x", package, work / "root"], check=True)
    (work / "root").rename(root)
    shutil.rmtree(work)
    return root / "usr"


def _mirror(options: list[str]) -> str:
    """Where this system gets its packages from."""
    targets = ["apt-get", *_flags(options), "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(targets, check=True, capture_output=True, text=True).stdout.split()
    return next(uri for uri in listed if "security" not in uri)


def _apt(command: list[str], options: list[str], cwd: Path | None = None) -> None:
    subprocess.run(["apt-get", "-q", *_flags(options), *command], check=True, cwd=cwd)


def _flags(options: list[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def environment(usr: Path) -> dict[str, str]:
    """What lets programs find the driver, and CMake the headers."""
    libraries = next(usr.glob("lib/*/libvulkan_lvp.so")).parent
    driver = json.loads(next(usr.glob("share/vulkan/icd.d/lvp_icd*.json")).read_text())
    driver["ICD"]["library_path"] = str(libraries / "libvulkan_lvp.so")
    described = CACHE / "driver.json"
    described.write_text(json.dumps(driver))
    return {
        **os.environ,
        "PATH": f"{usr / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(libraries),
        "CMAKE_PREFIX_PATH": str(usr),
        "VK_DRIVER_FILES": str(described),
        "VK_ICD_FILENAMES": str(described),
        # ggml takes no processor for a GPU unless it is told to; one card is shown twice.
        "GGML_VK_VISIBLE_DEVICES": "0,0",
        # This driver crashes in some fused operations.
        "GGML_VK_DISABLE_FUSION": "1",
        "PUNA_BACKEND": "vulkan",
    }


def compiled(given: dict[str, str]) -> Path:
    """A folder with the Python package of libllama for Vulkan."""
    host = replace(building.Host(), environment=given)
    wheel = building.wheel(building.choose_build(host), building.version(), host)
    site = wheel.parent / "site"
    if not site.exists():
        new = wheel.parent / "site.new"
        shutil.rmtree(new, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(new)
        new.rename(site)
    return site


def main() -> None:
    """Get what is missing, then run the tests. Without Debian's packages, exits with `UNAVAILABLE`."""
    try:
        usr = unpacked()
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        print(f"There is no GPU in software: Debian's packages cannot be had ({error!r}).", file=sys.stderr)
        sys.exit(UNAVAILABLE)
    given = environment(usr)
    site = compiled(given)
    command = [sys.executable, "-m", "pytest", "tests/gpu", *sys.argv[1:]]
    os.execve(sys.executable, command, given | {"PYTHONPATH": str(site)})


if __name__ == "__main__":
    main()
