"""How the server's process is set up."""

import gc
import sys

from tallybook.server import tune_process


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
