"""Keys of callers' calls: never kept, never shown, but recognisable."""

import re

# After `tb_` all is secret, and may begin like one more part of a prefix.
_PREFIX = re.compile(r"tb_|(?:[a-z]{1,8}[-_]){0,2}")
_SHOWN = 4


def masked(key_text: str) -> str:
    """`pk_live_abc123` as `pk_live_…c123`: what kind of key it is, and its end, unless that is half the key."""
    prefix = _PREFIX.match(key_text)
    kept = prefix[0] if prefix else ""
    secret = key_text[len(kept) :]
    end = secret[-_SHOWN:] if len(secret) > _SHOWN and len(key_text) > 2 * _SHOWN else ""
    return f"{kept}…{end}"
