"""Reading what is installed: in a process of its own, whole, or not at all."""

from pathlib import Path

import pytest

from tallybook.catalogues.installed import read_lists
from tallybook.pricing.errors import CatalogueUnreadable
from tests.catalogue import snapshot


def test_it_is_the_snapshot_of_the_library() -> None:
    catalogue = read_lists().catalogue
    assert catalogue.version == snapshot().version
    assert list(catalogue.providers) == list(snapshot().providers)
    assert list(catalogue.prices) == list(snapshot().prices)


def test_each_price_of_a_key_begins_by_itself_or_shares_the_day() -> None:
    begun = [(price.key, price.effective_from_us, price.daily) for price in snapshot().prices]
    assert len(set(begun)) == len(begun)
    whole_days = {(key, start_us) for key, start_us, daily in begun if daily is None}
    assert not whole_days & {(key, start_us) for key, start_us, daily in begun if daily is not None}


@pytest.mark.parametrize(
    "library",
    [
        pytest.param("raise RuntimeError('broken on purpose')", id="it cannot be imported"),
        pytest.param("__version__ = '9.9.9'", id="it has another shape"),
    ],
)
def test_a_library_that_cannot_be_read_is_refused(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "genai_prices.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CatalogueUnreadable, match=r"the installed catalogue cannot be read: .*Error"):
        read_lists()
