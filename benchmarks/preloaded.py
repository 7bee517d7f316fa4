"""What the server of `started` imports before it forks: everything that a run imports."""

import torch
import torch._decomp.decompositions_for_jvp

import runs.training  # noqa: F401

# A fork sets OMP_NUM_THREADS too late: torch is already imported.
torch.set_num_threads(1)
