"""Which commit changed last what is read of an org. To look for it among all facts takes longer than many an answer."""

from collections.abc import Iterable, Sequence


class LastCommits:
    """Numbers of commits, as remembered since the file was opened: whatever came before counts for every org.

    The writer tells; any thread may ask.
    """

    def __init__(self) -> None:
        self._of_any = self._newest = 0
        self._by_org: dict[str, int] = {}

    def tell(self, seq: int, org_ids: Iterable[str] | None = None) -> None:
        """Says that a commit is durable, of these orgs or perhaps (None) of any."""
        if org_ids is None:
            self._of_any = seq
        else:
            self._by_org.update(dict.fromkeys(org_ids, seq))
        self._newest = seq

    def of(self, org_ids: Sequence[str] | None) -> int:
        """The last one of these orgs (None: of all), or a later one."""
        if org_ids is None:
            return self._newest
        return max(self._of_any, *(self._by_org.get(org_id, 0) for org_id in org_ids), 0)
