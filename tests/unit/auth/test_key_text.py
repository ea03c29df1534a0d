"""The secret text of keys."""

import pytest

from tallybook.auth.key_text import SALT_BYTES, KeyTexts, hint_of, is_mistyped

SALT = bytes(range(SALT_BYTES))
TEXTS = KeyTexts(b"secret")


def test_a_text_follows_from_secret_and_salt_alone() -> None:
    text = TEXTS.derive(SALT)
    # A golden value: stored salts must lead to the same texts in every later release.
    assert text == "tb_tNpZMaH_q9qmYZV_PRi7d5lE0SVfjVDrY9Az5UTEg1gI_bQKA"
    assert KeyTexts(b"secret").derive(SALT) == text
    assert KeyTexts(b"Secret").derive(SALT) != text
    assert TEXTS.derive(SALT[::-1]) != text


def test_a_hash_follows_from_secret_and_text_alone() -> None:
    # A golden value: a changed hash would lock everybody out.
    assert TEXTS.hash("a key").hex() == "56b317aebe493689573480908aed38f1a78c41160621c3235c4d50037bae74d9"
    assert KeyTexts(b"Secret").hash("a key") != TEXTS.hash("a key")


def test_a_long_secret_counts_whole() -> None:
    assert KeyTexts(b"s" * 64 + b"1").hash("a key") != KeyTexts(b"s" * 64 + b"2").hash("a key")


def test_a_slip_of_one_character_is_recognised() -> None:
    text = TEXTS.derive(SALT)
    assert not is_mistyped(text)
    for place in range(len("tb_"), len(text)):
        slip = "x" if text[place] != "x" else "y"
        assert is_mistyped(text[:place] + slip + text[place + 1 :])


@pytest.mark.parametrize("text", ["", "tb_", "admin-key-of-the-tests", "tb_short", TEXTS.derive(SALT) + "longer"])
def test_texts_of_another_form_are_not_called_mistyped(text: str) -> None:
    assert not is_mistyped(text)


def test_a_hint_shows_at_most_a_quarter() -> None:
    assert hint_of(TEXTS.derive(SALT)) == TEXTS.derive(SALT)[:8]
    assert hint_of("sixteen-letters!") == "sixt"
