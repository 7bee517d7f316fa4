"""What the server of `started` imports before it forks: all that a run does."""

import torch
import torch._decomp.decompositions_for_jvp

import runs.training  # noqa: F401

# In a fork of it the environment comes too late to say this.
torch.set_num_threads(1)
