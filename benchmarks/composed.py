"""Settings as `train.py` would have them, composed in the process of a benchmark or a test."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import flag_override

from runs.settings import Settings, plain_settings

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"


def settings(*overrides: str) -> Settings:
    """Compose `conf/config.yaml` with overrides."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        try:
            with flag_override(cfg, ["struct", "readonly"], False):
                cfg.pop("hydra")  # as hydra.main passes it
            return plain_settings(cfg)
        finally:
            HydraConfig.instance().cfg = None
