"""InferenceGuard and its relatives on real transformers, with the exact answers of the theory.

Import from the modules; this package holds no names, so that the command line stays fast.
"""

import os

# A worker that spins between steps takes the core of its neighbour; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
