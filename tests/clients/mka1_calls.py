"""Makes calls with whatever version of `meetkai-mka1` its interpreter has; knows nothing else of this project.

Standard input holds one call per line, standard output one outcome per line, both JSON. A call has `url`, `key`,
`method` (`llm.usage.completions`), `query` and `is_async`. Its outcome is `answer`, or `error` (the name of the
exception) with the `status`, `body` and `data` that the client shows.
"""

import asyncio
import functools
import json
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

# Before 0.6.0 the package had the shorter name.
PACKAGE = "meetkai_mka1" if find_spec("meetkai_mka1") else "mka1"
SDK: Any = import_module(PACKAGE).SDK
utils: Any = import_module(f"{PACKAGE}.utils")
RUNNER = asyncio.Runner()
NO_RETRIES = utils.RetryConfig("none", utils.BackoffStrategy(1, 1, 1, 1), False)


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(outcome(**json.loads(line))), flush=True)


def outcome(url: str, key: str | None, method: str, query: dict[str, Any], is_async: bool) -> dict[str, Any]:
    try:
        call = functools.reduce(getattr, (method + "_async" * is_async).split("."), sdk(url, key))
        answer = RUNNER.run(call(**query)) if is_async else call(**query)
    except Exception as error:
        return refusal(error)
    return {"answer": plain(answer)}


@functools.cache  # one takes half a second to make
def sdk(url: str, key: str | None) -> Any:
    return SDK(bearer_auth=key, server_url=url, retry_config=NO_RETRIES)


def plain(value: Any) -> Any:
    """What a model holds of what was sent. Its own dump leaves out names that the client does not know."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not hasattr(value, "model_fields_set"):
        return value
    fields = type(value).model_fields
    return {fields[name].alias or name: plain(getattr(value, name)) for name in value.model_fields_set}


def refusal(error: Any) -> dict[str, Any]:
    data = getattr(error, "data", None)
    return {
        "error": type(error).__name__,
        "status": getattr(error, "status_code", None),
        "body": getattr(error, "body", str(error)),
        "data": plain(data),
    }


main()
