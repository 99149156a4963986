"""The folder of this machine that stands in for a home in an object store."""

import hashlib
import os
import re
from pathlib import Path

from hpstudy.record._objects import ObjectPath


def workplace(home: Path | ObjectPath) -> Path:
    """Where this machine keeps what can't be in the home: databases, caches, a report while it is built.

    Returns:
        Of a folder the folder itself; of an address `${XDG_CACHE_HOME:-~/.cache}/hpstudy/<slug of the address>`.
    """
    if isinstance(home, Path):
        return home
    address = str(home)
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", address).strip("-")[:80]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    # Two addresses can read alike once their signs are gone.
    return caches / "hpstudy" / f"{slug}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
