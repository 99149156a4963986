"""Seeds derived from words, so that every random choice of a study is named and independent of all others."""

import hashlib


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any words and numbers, the same on every machine and in every process."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
