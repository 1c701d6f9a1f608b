"""Progress lines: a spinner for a step, a bar for a transfer of known size (Ollama progress/*.go)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from puna.human import human_bytes

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_WINDOW = 10.0
"""Seconds over which speed is measured."""
_GRAIN = 0.1
"""Minimum seconds between measurements; hashing reports a thousand times a second."""


@dataclass
class Bar:
    """A transfer. Sizes in bytes, times in seconds of one clock."""

    label: str
    total: int
    completed: int
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def set(self, completed: int, now: float) -> None:
        self.completed = min(completed, self.total)
        if len(self._samples) > 1 and now - self._samples[-2][0] < _GRAIN:
            self._samples[-1] = (now, self.completed)
        else:
            self._samples.append((now, self.completed))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()

    @property
    def speed(self) -> float:
        """Bytes per second over the last seconds; 0 until known."""
        if len(self._samples) < 2:
            return 0.0
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        return (last - first) / (ended - began) if ended > began else 0.0

    def line(self, width: int) -> str:
        """The bar in `width` columns: label, percentage, bar, sizes, speed, time left."""
        share = self.completed / self.total if self.total else 0.0
        before = f"{self.label} {share:4.0%}"
        if self.completed >= self.total:
            after = f"{human_bytes(self.total):>6}" + " " * 25
        else:
            after = f"{human_bytes(self.completed):>6}/{human_bytes(self.total):>6}"
            left = (self.total - self.completed) / self.speed if self.speed else 0.0
            after += f"  {human_bytes(int(self.speed)):>6}/s  {_left(left):>6}" if self.speed else " " * 18
        room = max(0, width - len(before) - len(after) - 5)
        filled = int(room * share)
        return f"{before} ▕{'█' * filled}{' ' * (room - filled)}▏ {after}"


class ProgressView:
    """The visible lines of one operation, updated by its messages."""

    def __init__(self) -> None:
        self._rows: list[str | Bar] = []
        self._bars: dict[str, Bar] = {}
        self._shown: set[tuple[str, str]] = set()
        self._status = ""
        self._turning = False

    def feed(
        self, status: str, key: str, total: int, completed: int, now: float, label: str = ""
    ) -> str | None:
        """Process a message; returns its status if it begins a step.

        A message with a `key` (usually a digest) updates the bar of that key, with `label` or the status as
        the bar's label.
        """
        if not key:
            new_step = status if status and status != self._status else None
            self._status = status or self._status
            if new_step:
                self._rows.append(status)
                self._turning = True
            return new_step
        if completed:
            # A pull first announces every layer at 0. A bar appears with the layer's first progress.
            self._turning = False
            if key not in self._bars:
                self._bars[key] = Bar(label or status, total, completed)
                self._rows.append(self._bars[key])
            self._bars[key].set(completed, now)
        # Layers are transferred concurrently, so a layer that is reported again is not a new step.
        new_step = status if status and (key, status) not in self._shown else None
        self._shown.add((key, status))
        return new_step

    def end(self) -> None:
        """End the current step."""
        self._turning = False

    def lines(self, width: int, now: float) -> list[str]:
        """The lines at time `now` on a terminal of `width` columns."""
        lines = [row if isinstance(row, str) else row.line(width) for row in list(self._rows)]
        if self._turning:
            lines[-1] += f" {_SPINNER[int(now * 10) % len(_SPINNER)]}"
        return lines


def _left(seconds: float) -> str:
    if seconds >= 360_000:
        return "99h+"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
