"""The clock jumps, forward and back: nothing is lost, unloaded or let in because of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from puna.access import add_key, new_key
from tests.faults.conftest import ANSWER
from tests.faults.injecting import engines, until
from tests.running import Server, keys_file, serving

DAY = 86_400
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    char text[32] = {0};
    int file = open(getenv("CLOCK_SHIFT"), O_RDONLY);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
        close(file);
    }
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += shift();
    return result;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    result->tv_sec = now.tv_sec;
    result->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
"""Moves the time of day by the seconds that a file says; clocks that only run are left alone."""

Jump = Callable[[int], None]


@pytest.fixture(scope="module")
def clocked(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("clock")
    source, shim, shift = folder / "shim.c", folder / "shim.so", folder / "shift"
    source.write_text(SHIM)
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    shift.write_text("0")
    with serving(models, LD_PRELOAD=str(shim), CLOCK_SHIFT=str(shift)) as server:
        yield server, shift


@pytest.fixture
def server(clocked: tuple[Server, Path]) -> Server:
    return clocked[0]


@pytest.fixture
def jump(clocked: tuple[Server, Path]) -> Iterator[Jump]:
    """Moves the server's clock away from ours by so many seconds; at the end it is right again."""
    _, shift = clocked

    def move(seconds: int) -> None:
        new = shift.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(shift)

    yield move
    move(0)


def generate(server: Server, **fields: object) -> dict[str, object]:
    body = {"model": "talker", "prompt": "Go", "stream": False, "options": {"num_predict": 20}} | fields
    return httpx.post(f"{server.url}/api/generate", json=body, timeout=120).json()


def moment(answer: dict[str, object]) -> datetime:
    return datetime.fromisoformat(str(answer["created_at"])[:19] + "+00:00")


def in_memory(server: Server) -> dict[str, str]:
    """When each model that is loaded goes."""
    listed = httpx.get(f"{server.url}/api/ps", timeout=60).json()["models"]
    return {one["name"]: one["expires_at"] for one in listed}


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_answers_go_on_and_bear_the_new_time(server: Server, jump: Jump, seconds: int):
    body = {"model": "endless", "prompt": "Go", "options": {"num_predict": 1 << 30}}
    with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=60) as answer:
        lines = map(json.loads, answer.iter_lines())
        before = moment(next(lines))
        jump(seconds)
        shifted = next(line for line in lines if abs((moment(line) - before).total_seconds()) > DAY / 2)
        assert "error" not in shifted
        assert all(next(lines)["response"] for _ in range(20))
    assert generate(server)["response"] == ANSWER


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_a_model_stays_as_long_as_was_said(server: Server, jump: Jump, seconds: int):
    generate(server, keep_alive="10m")
    jump(seconds)
    generate(server, model="endless", keep_alive=0)  # the scheduler looks at what is to go
    until(lambda: "endless:latest" not in in_memory(server))
    left = datetime.fromisoformat(in_memory(server)["talker:latest"]) - datetime.now(timezone.utc)
    assert abs(left - timedelta(seconds=seconds)) < timedelta(minutes=11)
    generate(server, keep_alive=0.1)
    until(lambda: not engines(server))


def test_a_key_expires_by_the_time_of_day(models: Path, server: Server, jump: Jump):
    """The last one, because a server that had keys asks for them ever after."""
    key, secret = new_key("guest", expires=datetime.now(timezone.utc) + timedelta(hours=1))
    add_key(keys_file(models), key)
    try:
        headers = {"Authorization": f"Bearer {secret}"}
        status = lambda: httpx.get(f"{server.url}/api/tags", headers=headers, timeout=60).status_code  # noqa: E731
        assert status() == 200
        jump(DAY)
        assert status() == 401
        jump(0)
        assert status() == 200
    finally:
        keys_file(models).unlink()
