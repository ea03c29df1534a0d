"""What each type of usage counts, keeps and charges."""

import pytest

from tallybook.core.errors import InvalidInput
from tallybook.settlement.model import UsageType
from tallybook.settlement.quantities import Quantities, charged_of, told_of

TEXT, EMBEDDING, STT, TTS = UsageType


@pytest.mark.parametrize(
    ("kind", "quantities", "event_kind", "kept", "charged"),
    [
        (TEXT, Quantities(5, 3, 2), "completion", {"input_tokens": 5, "output_tokens": 3, "cache_read_tokens": 2}, 3),
        (TEXT, Quantities(0, 0), "completion", {"input_tokens": 0, "output_tokens": 0, "cache_read_tokens": 0}, 3),
        (EMBEDDING, Quantities(5), "embedding", {"input_tokens": 5, "cache_read_tokens": 0}, 2),
        (STT, Quantities(None, None, None, 7), "audio_transcription", {"audio_seconds": 7}, 1),
        (TTS, Quantities(5, None, None, 7), "audio_speech", {"input_tokens": 5, "audio_seconds": 7}, 1),
    ],
)
def test_told(kind: UsageType, quantities: Quantities, event_kind: str, kept: dict[str, int], charged: int) -> None:
    told = told_of(kind, quantities, model="m")
    assert (told.kind, told.usage) == (event_kind, kept)
    paid_for = charged_of(told.kind, told.usage)
    assert len(paid_for) == charged
    assert paid_for.items() <= told.usage.items()


def test_what_is_of_the_other_family_is_kept_and_not_charged() -> None:
    told = told_of(TEXT, Quantities(1, 1, 0, 9), model="m")
    assert "audio_seconds" in told.usage
    assert "audio_seconds" not in charged_of(told.kind, told.usage)


@pytest.mark.parametrize(
    ("kind", "quantities", "fields"),
    [
        (TEXT, Quantities(), ["usage.inputTokens", "usage.outputTokens"]),
        (TEXT, Quantities(1), ["usage.outputTokens"]),
        (TEXT, Quantities(1, 1, 2), ["usage.cachedTokens"]),
        (EMBEDDING, Quantities(None, 0), ["usage.inputTokens"]),
        (EMBEDDING, Quantities(1, 1), ["usage.outputTokens"]),
        (STT, Quantities(1, 1), ["usage.audioDurationSeconds"]),
        (TTS, Quantities(None, None, 1, 5), ["usage.cachedTokens"]),
    ],
)
def test_faults(kind: UsageType, quantities: Quantities, fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        told_of(kind, quantities, model="m", place=("usage",))
    assert [".".join(map(str, fault.loc)) for fault in refusal.value.faults] == fields
