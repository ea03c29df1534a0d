"""The Python sample of the sandbox page of docs.mka1.com, verbatim, run by the client of its time (0.6.0)."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.published import interpreter
from tests.conftest import LONG
from tests.serving import ServerProcess

SAMPLE = """
from meetkai_mka1 import SDK


with SDK(
    bearer_auth="<YOUR_BEARER_TOKEN_HERE>",
) as sdk:

    res = sdk.sandbox_usage.get_usage_api_v1_sandbox_usage_get(start_time=870831, all_orgs=False)

    # Handle response
    print(res)
"""
POINTED_HERE = """
import sys
from meetkai_mka1 import sdkconfiguration
sdkconfiguration.SERVERS[0] = sys.argv[1]
exec(sys.argv[2])
"""


@pytest.mark.skipif(not LONG, reason="run by make test-long, in an environment of its own")
def test_the_sample_prints_every_day_since_1970(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", admin_key="<YOUR_BEARER_TOKEN_HERE>").start()
    command = [str(interpreter("0.6.0")), "-c", POINTED_HERE, server.url, SAMPLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    server.stop()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SandboxUsageBucket(") > 20_000
    assert "start_time=864000, end_time=950400" in done.stdout
