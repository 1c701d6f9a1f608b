"""Sizes, counts and times in the format of Ollama's tables (Ollama format/*.go)."""

from __future__ import annotations

from datetime import datetime


def human_bytes(size: int) -> str:
    """Bytes in decimal units: "999 B", "1.5 KB", "270 MB"."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= scale:
            value = size / scale
            return f"{int(value)} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"
    return f"{size} B"


def human_number(count: int) -> str:
    """A count of parameters: "134.52M", "8B", "3.2B"."""
    if count >= 10**9:
        return f"{count / 10**9:.0f}B" if count % 10**9 == 0 else f"{count / 10**9:.1f}B"
    if count >= 10**6:
        return f"{count / 10**6:.0f}M" if count % 10**6 == 0 else f"{count / 10**6:.2f}M"
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)


def human_time(moment: datetime, now: datetime) -> str:
    """`moment` relative to `now`: "3 minutes ago", "4 minutes from now", "Forever". Both have a time zone."""
    seconds = (now - moment).total_seconds()
    if int(seconds / 3600 / 24 / 365) < -20:
        return "Forever"
    return f"{_span(abs(seconds))} {'from now' if seconds < 0 else 'ago'}"


def _span(seconds: float) -> str:
    minutes, hours = int(seconds / 60), int(seconds / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 2:
        return "1 second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{days // 365} years"


def go_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: "1.5s", "2m3.25s", "1h0m0s", "12.5ms", "0s"."""
    if nanoseconds < 1000:
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    for unit, scale in (("µs", 10**3), ("ms", 10**6)):
        if nanoseconds < scale * 1000:
            return _decimal(nanoseconds, scale) + unit
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    prefix = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{prefix}{_decimal(rest, 10**9)}s"


def _decimal(value: int, scale: int) -> str:
    whole, part = divmod(value, scale)
    digits = str(part).zfill(len(str(scale)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
