"""What a machine needs to compile is asked for before anything is read."""

import sysconfig
from pathlib import Path

import pytest

from runs import compiler
from runs.check import check_settings
from runs.compiler import missing_for_compiling
from tests.compose import settings


def test_a_machine_without_a_compiler_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = settings("speed.compile=true", "logger=csv")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiler, "_COMPILER", "g++")
    with pytest.raises(ValueError, match=r"speed\.compile=true needs the C\+\+ compiler g\+\+:"):
        check_settings(wanted)
    check_settings({**wanted, "mode": "evaluate", "checkpoint": "x"})  # nothing is compiled
    check_settings(settings("logger=csv"))

    monkeypatch.setenv("CXX", "c++-99")
    assert missing_for_compiling() == "the C++ compiler CXX=c++-99"

    (tmp_path / "clang++").touch(mode=0o755)
    monkeypatch.delenv("CXX")
    assert missing_for_compiling() == "the C++ compiler g++"  # torch would not look for another
    monkeypatch.setenv("CXX", "clang++ -stdlib=libc++")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert "Python.h" in str(missing_for_compiling())
    (tmp_path / "Python.h").touch()
    assert missing_for_compiling() is None
    check_settings(wanted)


def test_what_waits_for_numbers_cannot_be_recorded() -> None:
    words = ["speed.cuda_graph=true", "logger=csv"]
    check_settings(settings(*words))
    with pytest.raises(ValueError, match=r"trainer\.detect_anomaly=true .* speed\.cuda_graph=true"):
        check_settings(settings(*words, "+trainer.detect_anomaly=true"))


@pytest.mark.parametrize(
    "key",
    ["speed.compile", "speed.channels_last", "speed.tf32", "speed.cuda_graph", "meta.float32"],
)
def test_a_switch_is_on_or_off(key: str) -> None:
    with pytest.raises(ValueError, match=rf"{key}=1 is not known: give true or false"):
        check_settings(settings(f"{key}=1", "logger=csv"))
