import pytest
import torch

from runs.results import process_facts


def test_a_run_on_the_cpu_of_a_machine_with_a_gpu_is_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    here = process_facts(torch.device("cpu"))
    assert here["device"] == f"CPU, {torch.get_num_threads()} threads"
    assert here["peak_memory_bytes"] > 2**20
    there = process_facts(torch.device("cuda", 3))
    assert (there["device"], there["peak_memory_bytes"]) == ("GPU 3", 7)
