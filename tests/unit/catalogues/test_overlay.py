"""Files of the overlay: what they say, exactly, and how a fault is told by file and line."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tallybook.catalogues.installed import read_lists
from tallybook.catalogues.overlay import read_overlay
from tallybook.core.time_window import HOUR_US, parse_instant
from tallybook.pricing.errors import CatalogueUnreadable
from tallybook.pricing.match import Match
from tallybook.pricing.price import DailyWindow, Mode, NewPrice, Rate, Tier

FULL = r"""
provider: house
sheets:
  - page: https://prices.example/llm
    checked: 2026-02-03
    from: 2026-02-01
    to: 2026-03-01T12:00:00Z
    mode: batch
    match: regex
    daily: 22:00-06:00 mon,sun
    when: {image_size: 1024x1024, image_quality: hd}
    models:
      house-\d+(-mini)?:
        input_tokens: {usd: 2.50/1M, above: {200000: 5/1M}}
        audio_seconds: {usd: 0.111/3600, at_least: 10}
        images: 0.1/1
"""
SHORT = """\
provider: house
sheets:
  -
    page: https://prices.example/llm
    checked: 2026-02-03
    from: 2026-02-01
    models:
      house-llm: {input_tokens: 2.5/1M}
"""


def read(folder: Path, **texts: str) -> list[NewPrice]:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return read_overlay(folder)


def test_every_field_of_a_sheet(tmp_path: Path) -> None:
    (price,) = read(tmp_path, house=FULL)
    assert price == NewPrice(
        provider="house",
        model=r"house-\d+(-mini)?",
        match=Match.REGEX,
        mode=Mode.BATCH,
        effective_from_us=parse_instant("2026-02-01T00:00:00Z"),
        effective_to_us=parse_instant("2026-03-01T12:00:00Z"),
        daily=DailyWindow(22 * HOUR_US, 6 * HOUR_US, (0, 6)),
        when=(("image_quality", "hd"), ("image_size", "1024x1024")),
        rates={
            "input_tokens": Rate(Decimal("2.50"), 10**6, (Tier(200_000, Decimal(5)),)),
            "audio_seconds": Rate(Decimal("0.111"), 3600, at_least=10),
            "images": Rate(Decimal("0.1"), 1),  # exactly, not as a binary float
        },
        source="https://prices.example/llm (checked 2026-02-03)",
    )
    assert str(price.rates["input_tokens"].usd) == "2.50"


def test_files_are_read_by_name_and_others_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("not a price")
    assert [price.provider for price in read(tmp_path, b=SHORT, a=SHORT.replace("house", "attic"))] == [
        "attic",
        "house",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        pytest.param("", None, 1, "is empty", id="empty"),
        pytest.param("sheets:", "sheets: [", 3, "is no YAML: ", id="no YAML"),
        pytest.param("provider: house", "provider: {}", 1, "provider: must be a single value", id="a mapping"),
        pytest.param("provider: house\n", "", 1, "provider: is missing", id="no provider"),
        pytest.param("sheets:", "pages:", 2, "pages: is not known here", id="an unknown field"),
        pytest.param("    page: https://prices.example/llm\n", "", 4, "page: is missing", id="no source"),
        pytest.param("https://", "see ", 4, "page: must be the address of the page", id="a source that is none"),
        pytest.param("    checked: 2026-02-03\n", "", 4, "checked: is missing", id="no date"),
        pytest.param("2026-02-03", "2026-02-30", 5, "checked: must be a day such as", id="no such date"),
        pytest.param("2026-02-01", "today", 6, "from: must be a day, or an RFC 3339", id="no beginning"),
        pytest.param("2.5/1M", "2.5", 8, "input_tokens: must be US dollars for so many units", id="no unit count"),
        pytest.param("2.5/1M", "2;5/1M", 8, "input_tokens: '2;5' must be a plain decimal number", id="no number"),
        pytest.param("2.5/1M", "-1/1M", 8, "house-llm: rates.input_tokens.usd must be between", id="negative"),
        pytest.param("{input_tokens: 2.5/1M}", "{}", 8, "house-llm: rates must have", id="no rates"),
        pytest.param("input_tokens", "tokens", 8, "house-llm: rates.tokens is no unit", id="an unknown unit"),
        pytest.param("2.5/1M", "{usd: 2/1M, above: {5: 3/1K}}", 8, "above 5: must be for as many", id="tiers"),
        pytest.param("2.5/1M", "1/1M, input_tokens: 2/1M", 8, "input_tokens: stands here twice", id="twice"),
        pytest.param(
            "from: 2026-02-01",
            "from: 2026-02-01\n    mode: slow",
            7,
            "mode: 'slow' is not a valid Mode",
            id="mode",
        ),
        pytest.param(
            "from: 2026-02-01",
            "from: 2026-02-01\n    daily: 9-17",
            7,
            "daily: must be like 01:00-",
            id="daily",
        ),
        pytest.param(
            "from: 2026-02-01",
            "from: 2026-02-01\n    when: {colour: red}",
            9,
            "house-llm: when.colour must be one of",
            id="a condition",
        ),
    ],
)
def test_a_fault_names_its_file_and_line(tmp_path: Path, old: str, new: str | None, line: int, words: str) -> None:
    wrong = "" if new is None else SHORT.replace(old, new, 1)
    with pytest.raises(CatalogueUnreadable) as caught:
        read(tmp_path, house=wrong)
    assert f"house.yaml:{line}: {words}" in str(caught.value)


def test_all_faults_of_all_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnreadable) as caught:
        read(tmp_path, a="provider: x", b=SHORT.replace("2.5/1M", "cheap").replace("2026-02-01", "soon"))
    assert [place in str(caught.value) for place in ("a.yaml:1", "b.yaml:6", "b.yaml:8")] == [True] * 3


def test_two_prices_for_the_same_time_are_a_fault(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnreadable, match=r"b\.yaml:8: is for the same as a\.yaml:8"):
        read(tmp_path, a=SHORT, b=SHORT)


def test_one_after_the_other_is_none(tmp_path: Path) -> None:
    ended = SHORT.replace("    models", "    to: 2026-02-05\n    models")
    later = SHORT.replace("2026-02-01", "2026-02-05")
    assert len(read(tmp_path, a=ended, b=later)) == 2


def test_an_operators_price_takes_the_place_of_ours(tmp_path: Path) -> None:
    ours = read_lists().overlay
    replaced = ours[0]
    text = SHORT.replace("provider: house", f"provider: {replaced.provider}").replace(
        "    models", f"    mode: {replaced.mode}\n    match: {replaced.match}\n    models"
    )
    (tmp_path / "mine.yaml").write_text(text.replace("house-llm", replaced.model))
    with_theirs = read_lists(tmp_path).overlay
    assert [price.rates for price in with_theirs if price.key == replaced.key] == [
        {"input_tokens": Rate(Decimal("2.5"), 10**6)}
    ]
    assert {price.key for price in with_theirs} == {price.key for price in ours}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnreadable, match="the overlay cannot be read"):
        read_overlay(tmp_path / "nowhere")


def test_the_example_of_the_guide_is_such_a_file(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "prices.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert {price.model for price in read(tmp_path, house=example)} == {"llama-4-70b", "whisper-large-v3"}
