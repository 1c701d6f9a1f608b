"""`make device-check` where there is no device: the processor stands for one."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_check_of_a_device_measures_all_that_it_says():
    command = [sys.executable, "-m", "benchmarks.device", "--dry"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    report = json.loads(output)
    found = report["tiny"]
    assert found["error of logits"] < 1e-3
    assert found["puna"]["two engines agree"]
    assert found["puna"]["size_vram"] > 0
    assert set(found["ratios"]) == {"prefill", "decode", "streams"}
    assert all(ratio > 0 for ratio in found["ratios"].values())
