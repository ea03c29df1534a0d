"""The price lists that are installed with this release: the catalogue, and our own overlay."""

import subprocess
import sys
from importlib import resources

import msgspec

from tallybook.pricing.catalogue.snapshot import PriceLists, Snapshot
from tallybook.pricing.errors import CatalogueUnreadable
from tallybook.pricing.price import NewPrice, faults_of

_TRANSLATOR = "tallybook.catalogues.genai_prices"
_OVERLAY = "overlay.json"


def read_lists() -> PriceLists:
    """Reads both, whole and checked. Takes about a second. Raises `CatalogueUnreadable`."""
    lists = PriceLists(_catalogue(), _overlay())
    for price in (*lists.catalogue.prices, *lists.overlay):
        if faults := faults_of(price):
            place = ".".join(map(str, faults[0].loc))
            raise CatalogueUnreadable(f"the installed price of {price.provider}:{price.model}: {place} {faults[0].msg}")
    return lists


def _catalogue() -> Snapshot:
    done = subprocess.run([sys.executable, "-m", _TRANSLATOR], capture_output=True, check=False)
    if done.returncode:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CatalogueUnreadable(f"the installed catalogue cannot be read: {last_line}")
    return msgspec.json.decode(done.stdout, type=Snapshot)


def _overlay() -> tuple[NewPrice, ...]:
    text = resources.files(__package__).joinpath(_OVERLAY).read_bytes()
    return msgspec.json.decode(text, type=tuple[NewPrice, ...])
