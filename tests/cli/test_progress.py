"""Bars and steps of a pull as a terminal shows them."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from puna.cli.progress import Bar, ProgressView

DIGEST = "sha256:74701a8c35f6c8d9a4b91f3f3497643001d63e0c7a84e085bed452548fa88d45"


def test_a_pull_as_ollama_shows_it():
    progress = ProgressView()
    layer = "pulling 74701a8c35f6"

    def moves(completed: int, now: float) -> None:
        progress.feed(layer, DIGEST, 270_000_000, completed, now, label=f"{layer}:")

    progress.feed("pulling manifest", "", 0, 0, now=0)
    assert progress.lines(80, now=0.1) == ["pulling manifest ⠙"]
    moves(0, now=0)
    assert progress.lines(80, now=0) == ["pulling manifest ⠋"]  # No bar before anything moved.
    moves(10_000_000, now=1)
    moves(120_000_000, now=11)
    bar = progress.lines(80, now=11)[1]
    assert bar.startswith("pulling 74701a8c35f6:  44% ▕████")
    assert bar.endswith("▏ 120 MB/270 MB   11 MB/s     14s")
    moves(270_000_000, now=12)
    progress.feed("verifying sha256 digest", "", 0, 0, now=12)
    progress.feed("success", "", 0, 0, now=12)
    progress.end()
    manifest, bar, verifying, success = progress.lines(80, now=13)
    assert (manifest, verifying, success) == ("pulling manifest", "verifying sha256 digest", "success")
    assert "100%" in bar
    assert bar.rstrip().endswith("270 MB")


def test_each_step_is_announced_once():
    progress = ProgressView()
    statuses = ["pulling manifest", "pulling a", "pulling a", "pulling a", "success"]
    digests = ["", "sha256:a", "sha256:a", "sha256:a", ""]
    begun = [progress.feed(s, d, 9, i, now=i) for i, (s, d) in enumerate(zip(statuses, digests, strict=True))]
    assert [status for status in begun if status] == ["pulling manifest", "pulling a", "success"]


def test_layers_that_move_side_by_side_are_announced_once():
    progress = ProgressView()
    begun = [
        progress.feed(f"pulling {layer}", f"sha256:{layer}", 9, i, now=i) for i, layer in enumerate("ababab")
    ]
    assert [status for status in begun if status] == ["pulling a", "pulling b"]
    assert [line.split(" ▕")[0] for line in progress.lines(80, now=9)] == ["pulling b  56%", "pulling a  44%"]


def test_speed_is_that_of_the_last_seconds_however_often_it_is_measured():
    bar = Bar("hashing", 10**12, 0)
    for millisecond in range(30_000):
        rate = 1_000_000 if millisecond < 15_000 else 2_000_000
        bar.set(bar.completed + rate, millisecond / 1000)
    assert round(bar.speed / 10**9, 2) == 2.0


@given(st.integers(70, 300), st.integers(1, 10**13), st.lists(st.floats(0, 1), max_size=20))
def test_a_bar_fits_its_line(width: int, total: int, shares: list[float]):
    bar = Bar("pulling 74701a8c35f6:", total, 0)
    for second, share in enumerate(sorted(shares)):
        bar.set(int(total * share), second)
        assert cell_len(bar.line(width)) <= width
