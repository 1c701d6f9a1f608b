"""Sizes, counts, moments and durations as a person reads them."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.human import go_duration, human_bytes, human_number, human_time
from puna.settings import parse_duration

NOW = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1500, "1.5 KB"),
        (999_999, "999 KB"),
        (270_898_672, "270 MB"),
        (1_234_567, "1.2 MB"),
        (2_019_393_189, "2.0 GB"),
        (10_000_000_000, "10 GB"),
        (1_999_999_999_999, "2.0 TB"),
    ],
)
def test_sizes(size: int, text: str):
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (22_500, "22K"),
        (23_500, "24K"),
        (7_000_000, "7M"),
        (134_515_008, "134.52M"),
        (999_999_999, "1000.00M"),
        (2_800_000_000, "2.8B"),
        (8_000_000_000, "8B"),
        (671_026_419_200, "671.0B"),
    ],
)
def test_counts(count: int, text: str):
    assert human_number(count) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(milliseconds=800), "Less than a second ago"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(seconds=59), "59 seconds ago"),
        (timedelta(seconds=90), "About a minute ago"),
        (timedelta(minutes=3, seconds=5), "3 minutes ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(minutes=80), "About an hour ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=14), "2 weeks ago"),
        (timedelta(days=61), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
        (-timedelta(minutes=4, seconds=59), "4 minutes from now"),
        (-timedelta(days=200 * 365), "Forever"),
    ],
)
def test_moments(ago: timedelta, text: str):
    assert human_time(NOW - ago, NOW) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (999, "999ns"),
        (1_500, "1.5µs"),
        (12_345_678, "12.345678ms"),
        (1_000_000_000, "1s"),
        (63_250_000_000, "1m3.25s"),
        (3_600_000_000_000, "1h0m0s"),
    ],
)
def test_durations_as_go_prints_them(nanoseconds: int, text: str):
    assert go_duration(nanoseconds) == text


@given(st.integers(0, 10**15))
def test_a_printed_duration_reads_back(nanoseconds: int):
    assert parse_duration(go_duration(nanoseconds)) == pytest.approx(nanoseconds / 1e9, rel=1e-12, abs=1e-12)
