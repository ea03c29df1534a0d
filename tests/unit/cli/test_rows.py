"""Reading files row by row: places, raw bytes, and rows that cannot be read."""

import io

import pytest

from tallybook.cli.importing.rows import LINE_BYTES_MAX, CsvRows, NdjsonRows, Row, Unreadable


def csv_rows(content: bytes) -> list[Row]:
    return list(CsvRows(io.BytesIO(content)).read())


def ndjson_rows(content: bytes) -> list[Row]:
    return list(NdjsonRows(io.BytesIO(content)).read())


def test_line_numbers_count_the_lines_inside_quotes() -> None:
    rows = csv_rows(b'a,b\n1,"x\ny"\n\n2,"say ""hi"""\r\n3,z')
    assert [(row.number, row.line, row.content) for row in rows] == [
        (1, 2, ["1", "x\ny"]),
        (2, 5, ["2", 'say "hi"']),
        (3, 6, ["3", "z"]),
    ]
    assert [row.raw for row in rows] == [b'1,"x\ny"', b'2,"say ""hi"""', b"3,z"]


def test_reading_goes_on_after_any_row() -> None:
    content = b'\xef\xbb\xbfa,b\n1,"x\ny"\n\n2,y\n3,z\n'
    reader = CsvRows(io.BytesIO(content))
    rows = list(reader.read())
    assert reader.columns == ["a", "b"]
    for index, row in enumerate(rows):
        assert list(reader.read(row.after)) == rows[index + 1 :]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"1", "has 1 cells, the header has 2"),
        (b"1,2,3", "has 3 cells, the header has 2"),
        (b"1,\xff", "is not valid UTF-8"),
        (b'1,"x"y', "expected after"),
        (b"1,x\ry", "carriage return"),
        (b"1," + b"x" * 200_000, "a cell of over"),
    ],
)
def test_a_bad_row_does_not_spoil_the_next(row: bytes, fault: str) -> None:
    bad, good = csv_rows(b"a,b\n" + row + b"\n5,6\n")
    assert fault in str(bad.fault)
    assert (bad.line, bad.raw) == (2, row)
    assert (good.line, good.content, good.fault) == (3, ["5", "6"], None)


def test_a_quote_left_open() -> None:
    (row,) = csv_rows(b'a,b\n1,"x\n2,y\n')
    assert row.fault == "the file ends inside quotes"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
        (b"a,\xff\n", "not valid UTF-8"),
        (b"x" * (LINE_BYTES_MAX + 2), "longer than"),
    ],
)
def test_unreadable_files(content: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        CsvRows(io.BytesIO(content))


def test_ndjson_rows() -> None:
    rows = ndjson_rows(b'{"a": 1}\n\n  \r\n{"a": 2}\r\n[]')
    assert [(row.number, row.line, row.content) for row in rows] == [
        (1, 1, {"a": 1}),
        (2, 4, {"a": 2}),
        (3, 5, []),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "is not JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1e99999999999999999999}', "out of range"),
        (b'"\\ud800"', "surrogate"),
        (b'"\xff"', "not valid UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5_000, "is not JSON"),
    ],
)
def test_bad_ndjson_rows(line: bytes, fault: str) -> None:
    bad, good = ndjson_rows(line + b"\n{}\n")
    assert fault in str(bad.fault)
    assert (good.line, good.content) == (2, {})
