"""What people see of an action: a command line that could be typed, and no secrets."""

import re
import shlex
from collections.abc import Iterable

_MASK = "***"
_NAMES = r"(?:password|passwd|passphrase|secret|token|api[_-]?key)[\w-]{0,20}"
_VALUE = r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\S+)"""
# Repetitions before what decides are bounded, so that no output makes these slow.
_USERINFO = re.compile(r"(://[^\s:/@]{0,100}:)\S{0,300}@")
_BEARER = re.compile(r"\b(bearer )\S+", re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"({_NAMES}\s?[=:]\s?){_VALUE}", re.IGNORECASE)
_WORD_ASSIGNMENT = re.compile(rf"({_NAMES}[=:]).*", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(
    rf"-{{1,2}}(?!-|no-)[\w-]{{0,40}}{_NAMES}", re.IGNORECASE
)  # --no-password takes no value


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the passwords of URLs, of assignments such as ``password=x``, and without ``secrets``."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    text = _USERINFO.sub(rf"\1{_MASK}@", text)
    return _ASSIGNMENT.sub(rf"\1{_MASK}", _BEARER.sub(rf"\1{_MASK}", text))


def command_line(*words: str) -> str:
    """``words`` as one line that a shell would read so; masked, also where ``--password`` comes before."""
    shown = []
    before = ""
    for word in words:
        shown.append(_MASK if _OPTION.fullmatch(before) else _quoted(_masked_word(word)))
        before = word
    return " ".join(shown)


def _masked_word(word: str) -> str:
    word = _USERINFO.sub(rf"\1{_MASK}@", word)
    return _WORD_ASSIGNMENT.sub(rf"\1{_MASK}", _BEARER.sub(rf"\1{_MASK}", word))


def _quoted(word: str) -> str:
    """``word`` for a shell; one that would break the line in the notation ``$'…'``."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'{}'".format(word.encode("unicode_escape").decode().replace("'", "\\'"))
