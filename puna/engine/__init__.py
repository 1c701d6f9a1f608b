"""A process for each loaded model: libllama, the batch loop, the prefix cache, sampling, embeddings.

`start` starts such a process and returns a `puna.types.Engine`; an `EngineStarter` keeps one on standby.
`check_grammar` refuses grammars that no model supports. `quantize` quantises a file in a separate process.
`kernels` reports the native kernels in use, `find_devices` the GPUs, `dry_run` the memory that a load would
take, and `order` who is served next. `run_once` runs a one-shot process.
Only `libllama` touches ctypes; heavy imports happen in the engine process alone.
"""

from puna.engine.checking import check_grammar
from puna.engine.devices import find_devices
from puna.engine.drivers import drivers
from puna.engine.dry_run import dry_run
from puna.engine.kernels import kernels
from puna.engine.one_shot import run_once
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
    "run_once",
    "start",
]
