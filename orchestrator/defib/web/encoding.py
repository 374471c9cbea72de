"""Data to JSON, whatever plugins put into it."""

import json
import math
from typing import Any


def encode(data: Any) -> bytes:
    """JSON in UTF-8, as short as can be.

    Not a number and infinity, which JSON lacks, become null; half a surrogate pair, which UTF-8 lacks, ``?``.
    """
    try:
        text = _dump(data)
    except ValueError:
        text = _dump(_finite(data))
    return text.encode("utf-8", "replace")


def _dump(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _finite(data: Any) -> Any:
    match data:
        case float() if not math.isfinite(data):
            return None
        case dict():
            return {key: _finite(value) for key, value in data.items()}
        case list() | tuple():
            return [_finite(value) for value in data]
    return data
