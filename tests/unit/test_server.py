"""How the server's process is set up."""

import gc
import sys

import pytest

from tallybook.server import CannotStart, run, tune_process


@pytest.mark.parametrize(("name", "value"), [("port", "x"), ("secret", "short"), ("cors_origins", "https://a.example")])
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TALLYBOOK_{name.upper()}", value)
    with pytest.raises(CannotStart, match=f"bad settings: .*{name}"):
        run({})


def test_the_cycle_collector_runs_again_once_the_process_is_tuned() -> None:
    """`tallybook serve` turns it off while it starts."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.disable()
    try:
        tune_process()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)
