"""The values of Defib's own keys: what each accepts, and what it says about what it does not."""

import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, WithJsonSchema

from defib.config.findings import nearest
from defib.model.alert import Severity
from defib.model.monitor import RecoveryMode
from defib.model.options import Duration, Secret, parse_duration
from defib.model.settings import BadgeAccess

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:\[\]*/]+)):(?P<port>[0-9]{1,5})")
_LEAST_OBJECTIVE = 50.0
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON_EXAMPLE = '"0 8 * * *" for eight o\'clock every day'


def _id(value: str) -> str:
    if _ID.fullmatch(value):
        return value
    raise ValueError(
        "must consist of lower-case letters, digits, '.', '_' and '-', begin with a letter or digit, and be at most "
        "100 characters long; write for example 'main-agent' and put other text into 'name'"
    )


def check_name(value: str) -> str:
    """A name of the user's making: of a channel or a strategy.

    :raises ValueError: it has characters that paths and command lines cannot carry.
    """
    if _NAME.fullmatch(value):
        return value
    raise ValueError(
        f"the name {value!r} must consist of letters, digits, '.', '_' and '-', and begin with a letter or digit"
    )


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:  # a folder's name, such as Europe, is an OSError
        near = nearest(value, available_timezones())
        advice = f"did you mean {near!r}?" if near else "write one such as 'Europe/Berlin' or 'UTC'"
        raise ValueError(f"{value!r} is not a time zone of the IANA database; {advice}") from error
    return value


def _objective(value: object) -> object:
    """``99.9%`` or 99.9 as a share."""
    text = str(value).strip().removesuffix("%").rstrip()
    try:
        percent = float(text)
    except ValueError:
        percent = 0.0
    if isinstance(value, bool) or not _LEAST_OBJECTIVE <= percent < 100.0:
        raise ValueError("must be a percentage of the time, from 50% to below 100%; write for example 99.9%")
    return float(Decimal(text) / 100)


def _cron(value: str) -> str:
    from cronsim import CronSim, CronSimError

    if len(value.split()) != 5:
        raise ValueError(
            "must have five fields: minute, hour, day of month, month, day of week; "
            f"write for example {_CRON_EXAMPLE}"
        )
    try:
        CronSim(value, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        raise ValueError(f"{value!r} has a bad {field}; write for example {_CRON_EXAMPLE}") from error
    return value


def _moment(value: object) -> datetime:
    """Without an offset it is a local time, whose zone is given beside it."""
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(
            f"{value!r} is no date and time; write for example 2026-12-01 22:00, or 2026-12-01T22:00+01:00"
        ) from error


def _clock_time(value: object) -> time:
    """Minutes since midnight are what YAML 1.1 makes of 22:00 without quotes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 24 * 60:
        value = f"{value // 60}:{value % 60:02}"
    match = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)", str(value))
    if match is None or (match[1] == "24" and match[2] != "00"):
        raise ValueError(f'{value!r} is no time of the day; write for example "22:00"')
    return time(int(match[1]) % 24, int(match[2]))


def _days(value: object) -> object:
    words = _one_or_many(value)
    if not isinstance(words, list | tuple):
        return words
    days = [str(word).strip().lower()[:3] for word in words]
    for word, day in zip(words, days, strict=True):
        if day not in _WEEK:
            raise ValueError(f"{word!r} is no day of the week; write any of {', '.join(_WEEK)}")
    return tuple(_WEEK.index(day) for day in days)


def _store(value: str) -> str:
    """The message does not repeat the URL: it may hold a password."""
    scheme, separator, rest = value.partition("://")
    if scheme == "sqlite" and separator:
        if not rest.startswith("/") or rest in ("/", "/:memory:"):
            raise ValueError(
                "must name a file, such as sqlite:///defib.db; a store in memory would forget everything"
            )
    elif scheme == "postgres":
        raise ValueError("begins with postgres://; write postgresql://")
    elif scheme != "postgresql" or not rest:
        raise ValueError(
            "must be sqlite:///defib.db (relative to the configuration) or postgresql://user@host/database"
        )
    return value


def _listen(value: object) -> str:
    match = _LISTEN.fullmatch(str(value))
    if match is None or int(match["port"]) > 65535:
        raise ValueError(
            "must be host:port with a port up to 65535, such as 127.0.0.1:8420, 0.0.0.0:8420 for every address "
            "of this machine, or [::1]:8420"
        )
    return match[0]


def host_and_port(listen: str) -> tuple[str, int]:
    """The two halves of a checked address."""
    match = _LISTEN.fullmatch(listen)
    assert match is not None
    return match["v6"] or match["host"], int(match["port"])


def _anchor(value: object) -> str:
    """The address must be numeric: a name would need the resolver that is in question."""
    match = _LISTEN.fullmatch(str(value))
    try:
        if match is None or not 0 < int(match["port"]) <= 65535:
            raise ValueError
        ip_address(match["v6"] or match["host"])
    except ValueError as error:
        raise ValueError(
            "must be a numeric address and a port, such as 1.1.1.1:443 or [2606:4700:4700::1111]:443; "
            "a name would need the resolver that may be down"
        ) from error
    return match[0]


def _ping_url(value: Secret) -> Secret:
    """The message does not repeat the address: its path is the key."""
    try:
        parts = urlsplit(value.get_secret_value())
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError("is not an address; write https://host/path as the service shows it")
    return value


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be the address people open, such as https://health.example.com")
    if parts.username or parts.password:
        raise ValueError(
            "must not hold a user name or password: it is shown in alerts; write it without them"
        )
    return value.rstrip("/")


def _at_least_a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("must be at least 1s; faster polling costs more than it finds")
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing; write for example 10s")
    return value


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _mode(value: object) -> object:
    """``off`` is text to us, but ``false`` to those who know YAML 1.1."""
    return "off" if value is False else value


def _permissions(value: object) -> int:
    """Octal, as of chmod. A number that YAML has read already is the text it was written as: 0660 and 0o660 are 432."""
    text = f"{value:o}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text):
        raise ValueError('must be permission bits as of chmod; write for example "0660"')
    bits = int(text.removeprefix("0o"), 8)
    if bits & 0o111 or not bits & 0o600 == 0o600:
        raise ValueError('must let its owner read and write, and nobody execute; write for example "0660"')
    return bits


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError(
            f"{value!r} is no address and no network; write for example 10.0.0.7 or 10.0.0.0/8"
        ) from None


def _forever(value: object) -> timedelta | None:
    """``forever`` is None."""
    if value == "forever":
        return None
    try:
        return _positive(parse_duration(value))
    except ValueError as error:
        raise ValueError(f"{error}; or write 'forever'") from error


def _schema_of_one_or_many(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item}]})


_ID_SCHEMA = {"type": "string", "pattern": f"^{_ID.pattern}$"}

Id = Annotated[str, AfterValidator(_id), WithJsonSchema(_ID_SCHEMA)]
Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), _schema_of_one_or_many({"type": "string"})]
Severities = Annotated[
    tuple[Severity, ...],
    BeforeValidator(_one_or_many),
    _schema_of_one_or_many({"type": "string", "enum": [str(severity) for severity in Severity]}),
]
Name = Annotated[
    str, AfterValidator(check_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string"})]
Store = Annotated[str, AfterValidator(_store)]
Listen = Annotated[str, BeforeValidator(_listen)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Anchor = Annotated[str, BeforeValidator(_anchor)]
PingUrl = Annotated[Secret, AfterValidator(_ping_url)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Cron = Annotated[str, AfterValidator(_cron)]
ClockTime = Annotated[
    time,
    BeforeValidator(_clock_time),
    WithJsonSchema({"type": "string", "pattern": "^[0-2]?[0-9]:[0-5][0-9]$"}),
]
Days = Annotated[
    tuple[int, ...], BeforeValidator(_days), _schema_of_one_or_many({"type": "string", "enum": list(_WEEK)})
]
Positive = Annotated[Duration, AfterValidator(_positive)]
Interval = Annotated[Duration, AfterValidator(_at_least_a_second)]
Durations = Annotated[tuple[Duration, ...], BeforeValidator(_one_or_many), Field(max_length=20)]
Count = Annotated[int, Field(ge=1)]
Language = Literal["en", "zh-Hant", "tr"]
Objective = Annotated[
    float,
    BeforeValidator(_objective),
    WithJsonSchema({"type": "number", "ge": 0, "le": 100}),  # as of a Percent
]
Share = Annotated[float, Field(gt=0, le=1)]

Threshold = Count | Literal["auto"]
"""A number, or learned."""
Mode = Annotated[RecoveryMode, BeforeValidator(_mode)]
Badges = Annotated[BadgeAccess, BeforeValidator(_mode)]
Permissions = Annotated[
    int, BeforeValidator(_permissions), WithJsonSchema({"type": "string", "pattern": "^(0o?)?[0-7]{3}$"})
]
Network = Annotated[str, AfterValidator(_network)]
_DURATION_SCHEMA = TypeAdapter(Duration).json_schema()
KeptFor = Annotated[
    timedelta | None,
    BeforeValidator(_forever),
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"const": "forever"}]}),
]
