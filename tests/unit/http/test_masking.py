"""What stays of a key that was used."""

import pytest

from tallybook.http.usage_log.masking import masked


@pytest.mark.parametrize(
    ("key_text", "shown"),
    [
        ("", "…"),
        ("abcd", "…"),
        ("abcde", "…"),
        ("abcdefgh", "…"),
        ("abcdefghi", "…fghi"),
        ("sk-abcde", "sk-…"),
        ("tb_wrong", "tb_…"),
        ("pk_live_abcd", "pk_live_…"),
        ("pk_live_abc123", "pk_live_…c123"),
        ("sk-proj-0123456789abcdef", "sk-proj-…cdef"),
        ("tb_e_0123456789abcdef", "tb_…cdef"),
    ],
)
def test_the_kind_and_the_end_stay_unless_the_key_is_short(key_text: str, shown: str) -> None:
    assert masked(key_text) == shown
