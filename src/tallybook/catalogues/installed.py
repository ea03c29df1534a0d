"""The price lists that are installed: the catalogue, our own overlay, and the overlay of whoever runs the server."""

import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from tallybook.metering.answers import Told
from tallybook.pricing.catalogue.snapshot import PriceLists, Snapshot
from tallybook.pricing.errors import CatalogueUnreadable
from tallybook.pricing.price import NewPrice, faults_of

_TRANSLATOR = "tallybook.catalogues.genai_prices"
_OVERLAYS = "overlays"


def read_lists(overlay_dir: Path | None = None) -> PriceLists:
    """Reads all, whole and checked. Takes about a second. Raises `CatalogueUnreadable`.

    A price in a file of `overlay_dir` takes the place of ours that are for the same.
    """
    overlay = _overlay(overlay_dir)  # first, as it is read at once and may have been edited
    return PriceLists(_catalogue(), overlay)


def read_answer(answer: Any, provider: str | None, model: str | None) -> Told:
    """As `ReadAnswer`, by the library, of which nothing is loaded before the first answer comes.

    Raises `CatalogueUnreadable` as well.
    """
    try:
        from tallybook.catalogues import extraction
    except Exception as error:  # whatever it is that a damaged library raises
        raise CatalogueUnreadable(f"the library that reads providers' answers cannot be loaded: {error}") from None
    return extraction.read_answer(answer, provider, model)


def _catalogue() -> Snapshot:
    done = subprocess.run([sys.executable, "-m", _TRANSLATOR], capture_output=True, check=False)
    if done.returncode:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CatalogueUnreadable(f"the installed catalogue cannot be read: {last_line}")
    catalogue = msgspec.json.decode(done.stdout, type=Snapshot)
    for price in catalogue.prices:
        if faults := faults_of(price):
            place = ".".join(map(str, faults[0].loc))
            raise CatalogueUnreadable(f"the installed price of {price.provider}:{price.model}: {place} {faults[0].msg}")
    return catalogue


def _overlay(overlay_dir: Path | None) -> list[NewPrice]:
    from tallybook.catalogues.overlay import read_overlay  # with a reader of YAML, which only a sync needs

    ours = read_overlay(resources.files(__package__).joinpath(_OVERLAYS))
    if overlay_dir is None:
        return ours
    theirs = read_overlay(overlay_dir)
    replaced = {price.key for price in theirs}
    return [*(price for price in ours if price.key not in replaced), *theirs]
