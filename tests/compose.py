"""Settings as `train.py` would have them, composed in the test's own process."""

from benchmarks.composed import CONF, ROOT, settings

__all__ = ["CONF", "ROOT", "settings"]
