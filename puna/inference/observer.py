"""Observes requests. It is called once for each request, not for each token."""

from __future__ import annotations

from puna.inference.requests import Summary


class Observer:
    """Does nothing. `model` is the model's full name."""

    def answered(self, model: str, summary: Summary, first_ns: int) -> None:
        """An answer has ended. `first_ns`: from the request to the answer's first token, 0 if it had none."""

    def embedded(self, model: str, tokens: int) -> None:
        """Texts of so many tokens were turned into vectors or ranked."""
