"""The form of a line of the log."""

import json
import logging
import sys
from pathlib import Path

from tallybook.log import JsonLines


def test_a_line_holds_what_was_said_and_its_fields() -> None:
    said = {"reason": 'too "late"', "file": Path("x"), "count": 2}
    record = logging.makeLogRecord({"msg": "not done", "levelname": "WARNING", "created": 0.000001, **said})
    assert json.loads(JsonLines().format(record)) == {
        "reason": 'too "late"',
        "file": "PosixPath('x')",
        "count": 2,
        "event": "not done",
        "level": "warning",
        "timestamp": "1970-01-01T00:00:00.000001Z",
    }


def test_a_failure_and_its_traceback_are_one_line() -> None:
    try:
        raise ValueError("inner")
    except ValueError:
        record = logging.makeLogRecord({"msg": "%s failed", "args": ("it",), "exc_info": sys.exc_info()})
    text = JsonLines().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert line["event"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: inner")
