"""Events as a file: one row each, the same names in every format."""

from enum import StrEnum


class FileFormat(StrEnum):
    """Money is decimal text, in Parquet decimal numbers; no format has binary fractions of it."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
