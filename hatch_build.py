"""Compiles the native kernels when Puna is installed; without them libllama computes alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, str(Path(self.root) / "puna" / "kernels"))
        import building

        reason = building.build()
        if reason:
            self.app.display_warning(f"The kernels are left out: {reason}")
        elif version != "editable":
            build_data["artifacts"].append("puna/kernels/libpuna_kernels.so")
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
