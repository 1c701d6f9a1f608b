from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from puna.cli.progress import Bar, PullProgress

DIGEST = "sha256:74701a8c35f6c8d9a4b91f3f3497643001d63e0c7a84e085bed452548fa88d45"


def test_a_pull_as_ollama_shows_it():
    progress = PullProgress()
    progress.feed("pulling manifest", "", 0, 0, now=0)
    assert progress.lines(80, now=0.1) == ["pulling manifest ⠙"]
    progress.feed("pulling 74701a8c35f6", DIGEST, 270_000_000, 0, now=0)
    assert progress.lines(80, now=0) == ["pulling manifest ⠋"]  # No bar before anything moved.
    progress.feed("pulling 74701a8c35f6", DIGEST, 270_000_000, 10_000_000, now=1)
    progress.feed("pulling 74701a8c35f6", DIGEST, 270_000_000, 120_000_000, now=11)
    bar = progress.lines(80, now=11)[1]
    assert bar.startswith("pulling 74701a8c35f6:  44% ▕████")
    assert bar.endswith("▏ 120 MB/270 MB   11 MB/s     14s")
    progress.feed("pulling 74701a8c35f6", DIGEST, 270_000_000, 270_000_000, now=12)
    progress.feed("verifying sha256 digest", "", 0, 0, now=12)
    progress.feed("success", "", 0, 0, now=12)
    progress.end()
    manifest, bar, verifying, success = progress.lines(80, now=13)
    assert (manifest, verifying, success) == ("pulling manifest", "verifying sha256 digest", "success")
    assert "100%" in bar
    assert bar.rstrip().endswith("270 MB")


def test_each_step_is_announced_once():
    progress = PullProgress()
    statuses = ["pulling manifest", "pulling a", "pulling a", "pulling a", "success"]
    digests = ["", "sha256:a", "sha256:a", "sha256:a", ""]
    begun = [progress.feed(s, d, 9, i, now=i) for i, (s, d) in enumerate(zip(statuses, digests, strict=True))]
    assert [status for status in begun if status] == ["pulling manifest", "pulling a", "success"]


@given(st.integers(70, 300), st.integers(1, 10**13), st.lists(st.floats(0, 1), max_size=20))
def test_a_bar_fits_its_line(width: int, total: int, shares: list[float]):
    bar = Bar("pulling 74701a8c35f6:", total, 0)
    for second, share in enumerate(sorted(shares)):
        bar.set(int(total * share), second)
        assert cell_len(bar.line(width)) <= width
