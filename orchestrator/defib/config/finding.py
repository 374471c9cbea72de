"""Where the configuration is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from defib.errors import UsageError

PLACES = (Path("defib.yaml"), Path("/etc/defib/defib.yaml"))
"""Looked at in this order when nothing else was said; the first is in the working directory."""


def find(explicit: str | None, environ: Mapping[str, str], *, places: Sequence[Path] = PLACES) -> Path:
    """The configuration to use: ``explicit`` (``-c``), else ``DEFIB_CONFIG``, else the first of ``places``.

    :raises UsageError: it does not exist; says where it was looked for.
    """
    for named, origin in ((explicit, "-c"), (environ.get("DEFIB_CONFIG"), "DEFIB_CONFIG")):
        if named:
            path = Path(named)
            if not path.exists():
                raise UsageError(
                    f"no configuration at {path}, which {origin} names; write one with 'defib init -o {path}'"
                )
            return path
    for place in places:
        if place.exists():
            return place
    tried = ", ".join(str(place) if place.is_absolute() else f"./{place}" for place in places)
    raise UsageError(
        f"no configuration found (tried -c, DEFIB_CONFIG, {tried}); write one with 'defib init' or name one with -c"
    )
