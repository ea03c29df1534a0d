"""What the server logs: one JSON object a line, on standard error."""

import json
import logging
import sys

from tallybook.core.time_window import instant_text

_OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}
"""What a record has besides the fields that it was given as `extra`."""


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            **{name: value for name, value in vars(record).items() if name not in _OWN},
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": instant_text(int(record.created * 1_000_000)),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)


def configure_log(level: str) -> None:
    """From which level on; of libraries from warnings on, in the same form."""
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    logging.getLogger("tallybook").setLevel(number)
