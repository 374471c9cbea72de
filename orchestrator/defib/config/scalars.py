"""What an unquoted YAML scalar means.

The core schema of YAML 1.2, minus its surprises: ``on``, ``off``, ``yes`` and ``no`` are text (so that
``mode: off`` and the country ``no`` are what they look like; options of type bool understand them), and so are
``12:30``, ``1_000`` and numbers that begin with a zero, ``0755``.
"""

import re

from defib.config.nodes import Value

_WORDS: dict[str, Value] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_WHOLE = r"(?:0|[1-9][0-9]{0,299})"
_INT = re.compile(rf"[-+]?{_WHOLE}")
_PREFIXED = re.compile(r"0x[0-9a-fA-F]{1,16}|0o[0-7]{1,22}")
_EXPONENT = r"[eE][-+]?[0-9]{1,3}"
_FLOAT = re.compile(rf"[-+]?(?:(?:{_WHOLE}\.[0-9]*|\.[0-9]+)(?:{_EXPONENT})?|{_WHOLE}{_EXPONENT})")
_SPECIAL = re.compile(r"(?P<sign>[-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str) -> Value:
    """The value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":  # nearly everything: no need to try the patterns
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _PREFIXED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _SPECIAL.fullmatch(text):
        return float("nan") if match["sign"] is None else float(f"{match['sign']}inf")
    return text
