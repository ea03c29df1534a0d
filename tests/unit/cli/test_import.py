"""`tallybook import` against a fake server: what is sent, how often, and what it says."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallybook.cli.main import main
from tests.unit.cli.fake_server import KEY, FakeServer

TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,879,55
2023-11-16 18:15:51.3915170,91,16
2023-11-16 18:15:52.5733780,91,16
"""
MAP = ("--map", "occurred_at=TIMESTAMP", "input_tokens=ContextTokens", "output_tokens=GeneratedTokens")
SET = ("--set", "model=gpt-4o", "user_id=conv")


def written(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return written(tmp_path / "trace.csv", TRACE)


def run(fake: FakeServer, path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["import", str(path), *options, "--url", fake.url, "--key", KEY])


def counts(result: Result) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(result.stdout)
    return {name: summary[name] for name in ("read", "inserted", "duplicates", "conflicts", "skipped")}


def only_event(fake: FakeServer) -> dict[str, Any]:
    (event,) = fake.stored.values()
    return {name: value for name, value in event.items() if name not in ("id", "source")}


def test_mapped_columns_and_constants_become_events(fake: FakeServer, trace: Path) -> None:
    result = run(fake, trace, *MAP, *SET)
    assert result.exit_code == 0, result.output
    first, *_ = fake.batches[0]
    identity = first.pop("id")
    assert len(identity) == 32
    assert first == {
        "occurred_at": "2023-11-16T18:15:46.680590Z",
        "usage": {"input_tokens": 374, "output_tokens": 44},
        "model": "gpt-4o",
        "user_id": "conv",
        "source": "trace.csv",
    }
    assert len(fake.stored) == 5
    assert not (trace.parent / "trace.csv.progress").exists()


def test_the_summary(fake: FakeServer, trace: Path) -> None:
    lines = run(fake, trace, *MAP, *SET).stdout.splitlines()
    assert lines[:5] == ["rows read   5", "inserted    5", "duplicates  0", "conflicts   0", "skipped     0"]
    assert lines[5].startswith("seconds ")
    assert lines[6].endswith("rows/s")


def test_the_same_file_again_is_all_duplicates(fake: FakeServer, trace: Path) -> None:
    run(fake, trace, *MAP, *SET)
    again = run(fake, trace, *MAP, *SET, "--json", "--batch-size", "2")
    assert again.exit_code == 0
    assert counts(again) == {"read": 5, "inserted": 0, "duplicates": 5, "conflicts": 0, "skipped": 0}
    assert len(fake.stored) == 5


def test_equal_rows_are_different_events(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "same.csv", "input_tokens\n1\n1\n")
    assert counts(run(fake, path, "--json"))["inserted"] == 2


def test_another_constant_is_a_conflict_and_changes_nothing(fake: FakeServer, trace: Path) -> None:
    run(fake, trace, *MAP, *SET)
    before = dict(fake.stored)
    result = run(fake, trace, *MAP, "--set", "model=gpt-4o", "user_id=other", "--json")
    assert result.exit_code == 1
    assert counts(result) == {"read": 5, "inserted": 0, "duplicates": 0, "conflicts": 5, "skipped": 0}
    assert "lines 2, 3, 4, 5, 6" in result.stderr
    assert fake.stored == before


def test_another_source_is_another_event(fake: FakeServer, trace: Path) -> None:
    run(fake, trace, *MAP, *SET)
    assert counts(run(fake, trace, *MAP, *SET, "--source", "again", "--json"))["inserted"] == 5


def test_columns_named_like_fields_need_no_mapping(fake: FakeServer, tmp_path: Path) -> None:
    text = "id,occurred_at,usage.input_tokens,audio_seconds,cost_usd,batch,metadata.team,note\n"
    path = written(tmp_path / "native.csv", text + "call-1,1700158623,5,0.10,0.30,yes,blue,x\n")
    result = run(fake, path)
    assert result.exit_code == 0
    assert list(fake.stored) == [("native.csv", "call-1")]
    assert only_event(fake) == {
        "occurred_at": "2023-11-16T18:17:03Z",
        "usage": {"input_tokens": 5, "audio_seconds": 0.1},
        "cost_usd": "0.30",
        "batch": True,
        "metadata": {"team": "blue"},
    }
    assert '"audio_seconds":0.10' in fake.bodies[0]
    assert "columns not used: note" in result.stderr


def test_decimals_keep_every_digit(fake: FakeServer, tmp_path: Path) -> None:
    digits = "12345678901234567890.123456789012345678"
    path = written(tmp_path / "exact.csv", f"units\n{digits}\n")
    run(fake, path)
    assert f'"units":{digits}' in fake.bodies[0]


def test_empty_cells_are_absent(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "gaps.csv", "model,input_tokens,output_tokens\n,, 7\n")
    run(fake, path)
    assert only_event(fake) == {"usage": {"output_tokens": 7}}


def test_times_without_zone_take_the_one_given(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "local.csv", "occurred_at\n2024-07-15 12:00:00\n")
    run(fake, path, "--timezone", "Europe/Berlin")
    assert only_event(fake) == {"occurred_at": "2024-07-15T10:00:00Z"}


def test_ndjson_rows_are_events(fake: FakeServer, tmp_path: Path) -> None:
    row = '{"id":"a","source":"app","usage":{"output_tokens":2},"input_tokens":1,"units":1.10,"x":null}'
    path = written(tmp_path / "events.ndjson", f'{row}\n\n{{"occurred_at":"2024-07-15 12:00:00"}}\n')
    result = run(fake, path, "--set", "user_id=ana")
    assert result.exit_code == 0, result.output
    assert fake.stored["app", "a"] == {
        "id": "a",
        "source": "app",
        "user_id": "ana",
        "usage": {"output_tokens": 2, "input_tokens": 1, "units": 1.1},
    }
    assert '"units":1.10' in fake.bodies[0]
    second = fake.batches[0][1]
    assert (second["source"], second["occurred_at"]) == ("events.ndjson", "2024-07-15T12:00:00Z")


MISSPELT = """{"model":"m","input_tokns":1,"usage":{"output_tokens":2,"cached":3},"metadata":{"any":"name"}}
{"model":"m","input_tokns":1,"provider_response":{},"messages":[],"cost":1,"null":null,"modle":"m"}
"""


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_members_that_are_no_field_are_named_with_their_line(
    fake: FakeServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = run(fake, written(tmp_path / "misspelt.ndjson", MISSPELT), *options)
    assert result.exit_code == 0, result.output
    names = "input_tokns (line 1), usage.cached (line 1), cost (line 2), modle (line 2)"
    assert f"not used, as no event has such fields: {names}\n" in result.stderr


def test_members_that_are_no_field_are_named_also_where_the_import_stops(fake: FakeServer, tmp_path: Path) -> None:
    result = run(fake, written(tmp_path / "broken.ndjson", '{"input_tokns":1}\n[]\n'))
    assert result.exit_code == 1
    assert "no event has such fields: input_tokns (line 1)" in result.stderr


def test_metadata_may_stand_beside_itself(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "flat.ndjson", '{"metadata.team":"blue","metadata":{"a":1}}\n{"metadata.b":2}\n')
    assert run(fake, path).exit_code == 0
    assert [event["metadata"] for event in fake.stored.values()] == [{"a": 1, "team": "blue"}, {"b": 2}]
    twice = run(fake, written(tmp_path / "twice.ndjson", '{"metadata.a":1,"metadata":{"a":1}}\n'))
    assert "is given twice, beside and inside metadata" in twice.stderr


def test_ndjson_members_can_be_mapped(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", '{"t":1700158623.5,"call":{"tokens":{"in":3}},"model":"not taken"}\n')
    result = run(fake, path, "--map", "occurred_at=t", "input_tokens=call.tokens.in", "user_id=who")
    assert only_event(fake) == {"occurred_at": "2023-11-16T18:17:03.500000Z", "usage": {"input_tokens": 3}}
    assert "no row has who" in result.stderr


def test_a_resumed_import_does_not_tell_of_members_that_it_did_not_look_for(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "log.jsonl", '{"n":1,"who":"ana"}\n{"n":2}\n')
    options = ("--map", "input_tokens=n", "user_id=who", "--batch-size", "1")
    fake.broken = lambda batches_before: 500 if batches_before == 1 else None
    assert run(fake, path, *options).exit_code == 1
    fake.broken = lambda batches_before: None
    result = run(fake, path, *options)
    assert result.exit_code == 0
    assert "no row has" not in result.stderr


def test_a_dry_run_sends_nothing(fake: FakeServer, trace: Path) -> None:
    result = run(fake, trace, *MAP, *SET, "--dry-run")
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()[:3]]
    assert [event["usage"]["input_tokens"] for event in events] == [374, 396, 879]
    assert "rows read  5" in result.stdout
    assert not fake.batches


def test_a_dry_run_finds_every_bad_row(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.csv", "input_tokens\n" + "x\n" * 15 + "1\n")
    result = run(fake, path, "--dry-run", "--on-error", "skip")
    assert result.exit_code == 1
    assert result.stderr.count("must be a whole number") == 15
    assert "bad rows   15" in result.stdout
    assert list(tmp_path.iterdir()) == [path]


BAD_ROWS = "input_tokens,model\n1,m\n12.0,m\n3,m\n4\n5,m\n"


def test_a_bad_row_stops_after_the_rows_before_it(fake: FakeServer, tmp_path: Path) -> None:
    result = run(fake, written(tmp_path / "bad.csv", BAD_ROWS))
    assert result.exit_code == 1
    assert "line 3, column input_tokens: '12.0' must be a whole number" in result.stderr
    assert "1 rows are done" in result.stderr
    assert [event["usage"]["input_tokens"] for event in fake.stored.values()] == [1]


def test_bad_rows_are_skipped_into_a_file_that_can_be_imported(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.csv", BAD_ROWS)
    result = run(fake, path, "--on-error", "skip", "--json")
    assert result.exit_code == 1
    assert counts(result) == {"read": 5, "inserted": 3, "duplicates": 0, "conflicts": 0, "skipped": 2}
    assert (tmp_path / "bad.csv.skipped").read_text() == "input_tokens,model\n12.0,m\n4\n"
    assert (tmp_path / "bad.csv.skipped.reasons.csv").read_text().splitlines() == [
        "line,column,value,reason",
        '3,input_tokens,12.0,"must be a whole number, 0 or more"',
        '5,,,"has 1 cells, the header has 2"',
    ]


REFUSED = '{"input_tokens":1}\n\n{"input_tokens":2.5}\n{"model":"refused"}\n{"input_tokens":4}\n'


def test_faults_the_server_finds_are_told_by_line(fake: FakeServer, tmp_path: Path) -> None:
    result = run(fake, written(tmp_path / "refused.ndjson", REFUSED))
    assert result.exit_code == 1
    assert "line 3, column usage.input_tokens must be a whole number" in result.stderr
    assert "line 4, column model is refused" in result.stderr
    assert not fake.stored


def test_rows_the_server_refuses_can_be_skipped(fake: FakeServer, tmp_path: Path) -> None:
    result = run(fake, written(tmp_path / "refused.ndjson", REFUSED), "--on-error", "skip", "--json")
    assert counts(result) == {"read": 4, "inserted": 2, "duplicates": 0, "conflicts": 0, "skipped": 2}
    skipped = (tmp_path / "refused.ndjson.skipped").read_text()
    assert skipped == '{"input_tokens":2.5}\n{"model":"refused"}\n'


def test_a_failed_import_goes_on_where_it_stopped(fake: FakeServer, trace: Path) -> None:
    fake.broken = lambda batches_before: 500 if batches_before == 2 else None
    failed = run(fake, trace, *MAP, *SET, "--batch-size", "2")
    assert failed.exit_code == 1
    assert "stopped: 4 rows are done" in failed.stderr
    fake.broken = lambda batches_before: None
    resumed = run(fake, trace, *MAP, *SET, "--batch-size", "2", "--json")
    assert "continuing after row 4" in resumed.stderr
    assert counts(resumed) == {"read": 5, "inserted": 5, "duplicates": 0, "conflicts": 0, "skipped": 0}
    assert [len(batch) for batch in fake.batches] == [2, 2, 1]
    assert not (trace.parent / "trace.csv.progress").exists()


@pytest.mark.parametrize("change", ["constant", "file", "restart", "damage"])
def test_progress_of_another_import_is_not_used(fake: FakeServer, trace: Path, change: str) -> None:
    fake.broken = lambda batches_before: 500 if batches_before == 1 else None
    run(fake, trace, *MAP, *SET, "--batch-size", "2")
    fake.broken = lambda batches_before: None
    options = list(SET)
    match change:
        case "constant":
            options[-1] = "user_id=other"
        case "file":
            written(trace, TRACE.replace("879", "880"))
        case "restart":
            options.append("--restart")
        case "damage":
            written(trace.parent / "trace.csv.progress", '{"fingerprint"')
    result = run(fake, trace, *MAP, *options, "--json")
    assert "continuing" not in result.stderr
    assert counts(result)["read"] == 5


def test_skipped_rows_are_written_once_over_a_resume(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.csv", BAD_ROWS)
    options = ("--on-error", "skip", "--batch-size", "2")
    fake.broken = lambda batches_before: 500 if batches_before == 1 else None
    run(fake, path, *options)
    # As if the first run had died between writing skipped rows and noting its progress.
    with (tmp_path / "bad.csv.skipped").open("a") as file:
        file.write("rest of an interrupted run\n")
    fake.broken = lambda batches_before: None
    assert counts(run(fake, path, *options, "--json"))["skipped"] == 2
    assert (tmp_path / "bad.csv.skipped").read_text() == "input_tokens,model\n12.0,m\n4\n"


def test_a_killed_import_loses_and_doubles_nothing(fake: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path / "long.csv", "input_tokens\n" + "".join(f"{n}\n" for n in range(3_000)))
    options = [str(path), "--batch-size", "10", "--url", fake.url, "--key", KEY]
    process = subprocess.Popen(
        [sys.executable, "-c", "from tallybook.cli.main import main; main()", "import", *options],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "dumb"},
    )
    while len(fake.batches) < 5 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = run(fake, path, "--json")
    assert "continuing after row" in result.stderr
    assert counts(result)["read"] == 3_000
    assert counts(result)["conflicts"] == 0
    assert sorted(event["usage"]["input_tokens"] for event in fake.stored.values()) == list(range(3_000))


def test_a_folder_that_cannot_be_written_only_costs_the_resume(fake: FakeServer, trace: Path) -> None:
    (trace.parent / "trace.csv.progress.new").mkdir()
    result = run(fake, trace, *MAP, *SET, "--batch-size", "2", "--json")
    assert result.exit_code == 0
    assert result.stderr.count("no resuming; see --state-dir") == 1
    assert counts(result)["inserted"] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--map", "input_tokens=Contxt"), "no column 'Contxt'. The file has: TIMESTAMP, ContextTokens"),
        (("--map", "imput_tokens=ContextTokens"), "did you mean input_tokens"),
        (("--map", "input_tokens"), "not of the form name=value"),
        (("--map", "input_tokens=ContextTokens", "usage.input_tokens=TIMESTAMP"), "given twice"),
        (("--map", "model=TIMESTAMP", "--set", "model=x"), "given twice"),
        (("--map", "metadata=TIMESTAMP", "metadata.a=TIMESTAMP"), "as a whole and by its parts"),
        ((), "no column is named like a field"),
        ((*MAP, "--set", "batch=maybe"), "must be true or false"),
        ((*MAP, "--set", "id=1"), "id cannot be the same"),
        ((*MAP, "--set", "model="), "set to nothing"),
        ((*MAP, "--timezone", "Mars/Olympus"), "no time zone"),
        ((*MAP, "--batch-size", "0"), "range"),
    ],
)
def test_wrong_use_is_said_before_anything_is_sent(
    fake: FakeServer, trace: Path, options: tuple[str, ...], message: str
) -> None:
    result = run(fake, trace, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not fake.batches


def test_files_that_are_none(fake: FakeServer, tmp_path: Path) -> None:
    assert run(fake, tmp_path / "missing.csv").exit_code == 2
    assert "give --format" in run(fake, written(tmp_path / "trace.txt", TRACE)).stderr
    empty = run(fake, written(tmp_path / "empty.csv", ""))
    assert empty.exit_code == 1
    assert "the file is empty" in empty.stderr


def test_a_header_alone_is_an_import_of_nothing(fake: FakeServer, tmp_path: Path) -> None:
    result = run(fake, written(tmp_path / "header.csv", "input_tokens\n"), "--json")
    assert result.exit_code == 0
    assert counts(result)["read"] == 0


def test_an_unknown_key(fake: FakeServer, trace: Path) -> None:
    result = CliRunner().invoke(main, ["--url", fake.url, "--key", "wrong", "import", str(trace), *MAP])
    assert result.exit_code == 1
    assert "does not accept this key (401" in result.stderr


def test_a_server_that_is_not_there(trace: Path) -> None:
    result = CliRunner().invoke(main, ["--url", "http://127.0.0.1:1", "--key", KEY, "import", str(trace), *MAP])
    assert result.exit_code == 1
    assert "cannot reach the server at http://127.0.0.1:1" in result.stderr
    assert "tallybook serve" in result.stderr


def test_exact_sums_survive_the_journey(fake: FakeServer) -> None:
    slice_path = Path(__file__).parents[2] / "data" / "azure_llm_inference_2023_conv_60.csv"
    result = run(fake, slice_path, *MAP, *SET, "--state-dir", str(Path.cwd()))
    assert result.exit_code == 0
    usages = [event["usage"] for event in fake.stored.values()]
    tokens = (sum(usage["input_tokens"] for usage in usages), sum(usage["output_tokens"] for usage in usages))
    assert tokens == (43_328, 7_301)
