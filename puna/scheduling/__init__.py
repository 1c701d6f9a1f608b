"""Which models are in memory: load, lease, keep-alive, eviction, queue.

A `Scheduler` lends loaded models to requests; `estimate` says what a model will take,
`forecast` where it would go.
Knows engines only by the `Engine` protocol, and decides everything on one event loop.
"""

from puna.scheduling.fleet import LoadedModel
from puna.scheduling.forecast import forecast
from puna.scheduling.memory import Footprint, estimate
from puna.scheduling.scheduler import Lease, Scheduler

__all__ = ["Footprint", "Lease", "LoadedModel", "Scheduler", "estimate", "forecast"]
