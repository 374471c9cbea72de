"""Signatures that receivers can check with any library for Standard Webhooks. Pure.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md, version 1.0.0.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime

_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: base64 after ``whsec_``, else the text itself.

    :raises ValueError: what follows ``whsec_`` is not base64.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(
            "is not base64 after whsec_; copy it again, or write a text without that prefix"
        ) from None


def message_id(key: str) -> str:
    """Equal for every try of one delivery: receivers that remember it take nothing twice."""
    return f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def signed(key: bytes, message: str, body: bytes, at: datetime) -> Mapping[str, str]:
    """The headers that prove who sent ``body`` and when, so that a captured request cannot be played again."""
    seconds = str(int(at.timestamp()))
    digest = hmac.new(key, f"{message}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }
