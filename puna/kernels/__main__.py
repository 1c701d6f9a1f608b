"""`python -m puna.kernels` compiles the kernels, and says so."""

from puna.kernels.building import LIBRARY, build

reason = build()
print(f"kernels: not compiled: {reason}" if reason else f"kernels: {LIBRARY}")
