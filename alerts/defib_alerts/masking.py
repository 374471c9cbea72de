"""Keeps secrets out of errors and log lines."""

import json
import logging
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_MASK = "***"


class Masker:
    """Replaces every secret it was told, in the spellings that far ends and libraries echo."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {
            spelling
            for secret in secrets
            if secret
            for spelling in (
                secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1],
                repr(secret)[1:-1], b64encode(secret.encode()).decode(), urlsafe_b64encode(secret.encode()).decode(),
            )
        }  # fmt: skip
        self._spellings = sorted(
            spellings, key=len, reverse=True
        )  # the longest first: one may contain another

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, _MASK)
        return text


class MaskingFilter(logging.Filter):
    """Masks what a library logs, such as the whole addresses that ``httpx`` writes at INFO.

    Tracebacks, which quote what they like, are left out: the error itself reaches the caller as an exception.
    """

    def __init__(self, masker: Masker) -> None:
        super().__init__()
        self._masker = masker

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; every record passes."""
        record.msg, record.args = self._masker(record.getMessage()), None
        record.exc_info = record.exc_text = None
        return True
