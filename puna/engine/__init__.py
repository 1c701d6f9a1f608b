"""A process for each loaded model: libllama, the batch loop, the prefix tree, sampling, grammar, vectors.

`start` launches such a process; what it returns satisfies `puna.types.Engine`. A `Starter` does so with one
that it has made ready.
`check_grammar` refuses what no model could be held to. `quantize` stores weights in fewer bits, in a process
of its own too. `kernels` says which native kernels are in use, `find_devices` which GPUs there are,
`dry_run` what a load would take, `order` whose turn it is.
Only `libllama` touches ctypes; heavy imports happen in the engine process alone.
"""

from puna.engine.checking import check_grammar
from puna.engine.devices import find_devices
from puna.engine.drivers import drivers
from puna.engine.dry_run import dry_run
from puna.engine.kernels import kernels
from puna.engine.process import EngineProcess, start
from puna.engine.quantize import quantization, quantize
from puna.engine.standby import EngineStarter
from puna.engine.turns import order

__all__ = [
    "EngineProcess",
    "EngineStarter",
    "check_grammar",
    "drivers",
    "dry_run",
    "find_devices",
    "kernels",
    "order",
    "quantization",
    "quantize",
    "start",
]
