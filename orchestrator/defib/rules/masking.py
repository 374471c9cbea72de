"""Keeps secrets out of what people see: known ones by their value, others by what they look like."""

import re
import shlex
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
_NAMES = (
    r"(?:passwor[dt]|passwd|passphrase|\bpwd|secret|token|credential|cookie|authorization"
    r"|(?:api|access|private|signing|encryption)[_-]?key)[\w-]{0,20}"
)
_VALUE = r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:(?:bearer|basic|digest|token)\s)?\S+)"""
# Repetitions before what decides are bounded, so that no output makes these slow.
_USERINFO = re.compile(r"(://[^\s:/@]{0,100}:)\S{0,300}@")
_USER_OF_WEB = re.compile(r"(https?://)[^\s:/@]{1,200}@", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer )\S+", re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"""({_NAMES}["']?\s?[=:]\s?){_VALUE}""", re.IGNORECASE)
_WORD_ASSIGNMENT = re.compile(rf"({_NAMES}[=:]\s?).*", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(
    rf"-{{1,2}}(?!-|no-)[\w-]{{0,40}}{_NAMES}", re.IGNORECASE
)  # --no-password takes no value
_OPTION_WITH_VALUE = re.compile(rf"(\B--(?!no-)[\w-]{{0,40}}{_NAMES} ){_VALUE}", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[\s\S]*?(?:-----END|$(?![\s\S]))")
_ISSUED = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{2,}\.[\w-]*"  # JSON Web Token
    r"|\bAKIA[0-9A-Z]{16}\b"  # AWS
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"  # GitHub
    r"|\bxox[abprs]-[\w-]{10,}"  # Slack
    r"|\b\d{8,10}:[A-Za-z0-9_-]{35}\b"  # a Telegram bot
)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without ``secrets`` and without what looks like one.

    That is: passwords of URLs, values of ``password=x`` and the like (also in JSON, headers and options), private
    keys, and tokens of a known make.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK).replace(quote(secret, safe=""), MASK)
    text = _USER_OF_WEB.sub(rf"\1{MASK}@", _USERINFO.sub(rf"\1{MASK}@", text))
    text = _ISSUED.sub(MASK, _PRIVATE_KEY.sub(rf"\1{MASK}", text))
    text = _ASSIGNMENT.sub(rf"\1{MASK}", _BEARER.sub(rf"\1{MASK}", text))
    return _OPTION_WITH_VALUE.sub(rf"\1{MASK}", text)


def command_line(*words: str) -> str:
    """``words`` as one line that a shell would read so; masked, also where ``--password`` comes before."""
    shown = []
    before = ""
    for word in words:
        shown.append(MASK if _OPTION.fullmatch(before) else _quoted(_masked_word(word)))
        before = word
    return " ".join(shown)


def _masked_word(word: str) -> str:
    word = _USERINFO.sub(rf"\1{MASK}@", word)
    return _WORD_ASSIGNMENT.sub(rf"\1{MASK}", _BEARER.sub(rf"\1{MASK}", word))


def _quoted(word: str) -> str:
    """``word`` for a shell; one that would break the line in the notation ``$'…'``."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'{}'".format(word.encode("unicode_escape").decode().replace("'", "\\'"))
