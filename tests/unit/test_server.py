"""How the server's process is set up."""

import gc
import re
import sys

import pytest

from tallybook.server import CannotStart, run, tune_process
from tallybook.settings import read_settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "x", "must be a whole number, not 'x'"),
        ("PORT", "70000", "must be at most 65535, not '70000'"),
        ("READ_THREADS", "0", "must be at least 1, not '0'"),
        ("START_CHECK_SECONDS", "long", "must be a number, not 'long'"),
        ("ACCESS_LOG", "maybe", "must be true or false, not 'maybe'"),
        ("SECRET", "short", "must have at least 16 characters"),
        ("QUERY_MEMORY", "much", "must be an amount of memory such as 128MB, not 'much'"),
        ("LOG_LEVEL", "loud", "must be debug, info, warning or error, not 'loud'"),
        *[
            ("CORS_ORIGINS", value, f'must be a list in JSON, such as ["https://a.example"], not {shown!r}')
            for value, shown in (("https://a.example", "https://a.example"), ("{}", {}))
        ],
        ("CORS_ORIGINS", "[1]", "must be text, not 1"),
    ],
)
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(f"TALLYBOOK_{name}", value)
    with pytest.raises(CannotStart, match=f"^bad settings: TALLYBOOK_{name} {re.escape(words)}$"):
        run({})


def test_a_bad_flag_is_named_and_every_fault_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYBOOK_READ_THREADS", "0")
    with pytest.raises(CannotStart, match="--port must be at most 65535, not 70000; TALLYBOOK_READ_THREADS must"):
        run({"port": 70_000})


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOG_LEVEL": "INFO", "CORS_ORIGINS": '["https://a.example"]', "PORT": ""}.items():
        monkeypatch.setenv(f"TALLYBOOK_{name}", value)
    settings = read_settings({})
    assert (settings.log_level, settings.cors_origins, settings.port) == ("info", ["https://a.example"], 8080)


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
