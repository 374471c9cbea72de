"""What clients of the Healthchecks management API send about a check, and the heartbeat options it stands for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from defib_plugins.receiving import RefusedError

LEAST_S, MOST_S = 60, 31_536_000
DEFAULT_TIMEOUT_S, DEFAULT_GRACE_S = 86_400, 3_600
_LONGEST = {"name": 100, "slug": 100, "tags": 500, "desc": 5000, "schedule": 100, "tz": 36, "methods": 10,
            "start_kw": 200, "success_kw": 200, "failure_kw": 200, "channels": 5000, "subject": 200,
            "subject_fail": 200}  # fmt: skip
_NUMBERS = ("timeout", "grace")
_SWITCHES = ("filter_http_body", "filter_body", "filter_subject", "filter_default_fail", "manual_resume")
UNIQUE = ("name", "slug", "tags", "timeout", "grace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields that were sent and are right."""

    values: Mapping[str, Any] = field(default_factory=dict)
    unique: tuple[str, ...] = ()  #: a check that has the same in these is the same check

    def options(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a heartbeat.

        :param before: that it has; for a new one, none.
        """
        values = self.values
        after = dict(before) or {
            "misses": 1,
            "every": f"{DEFAULT_TIMEOUT_S}s",
            "grace": f"{DEFAULT_GRACE_S}s",
        }
        if "grace" in values:
            after["grace"] = f"{values['grace']}s"
        if "schedule" in values:
            self._follow_calendar(after)
        elif "timeout" in values:
            for name in ("cron", "calendar", "timezone"):
                after.pop(name, None)
            after |= {"every": f"{values['timeout']}s", "misses": 1}
        elif "tz" in values and ("cron" in after or "calendar" in after):
            after["timezone"] = values["tz"]
        if "methods" in values:
            after["only_post"] = values["methods"] == "POST"
        if "manual_resume" in values:
            after["manual_resume"] = values["manual_resume"]
        self._read_keywords(after)
        return after

    def _follow_calendar(self, after: dict[str, Any]) -> None:
        text = self.values["schedule"]
        zone = self.values.get("tz", after.get("timezone", "UTC"))
        for name in ("every", "misses", "cron", "calendar"):
            after.pop(name, None)
        is_cron = "\n" not in text.strip() and len(text.split()) == 5
        after |= {"cron" if is_cron else "calendar": text, "timezone": zone}

    def _read_keywords(self, after: dict[str, Any]) -> None:
        names = {"start_kw": "start", "success_kw": "success", "failure_kw": "failure"}
        keywords = dict(after.get("keywords") or {})
        for name, ours in names.items():
            if name in self.values:
                keywords[ours] = [word.strip() for word in self.values[name].split(",") if word.strip()]
        if "filter_default_fail" in self.values:
            keywords["otherwise"] = "fail" if self.values["filter_default_fail"] else "ignore"
        wanted = self.values.get("filter_http_body", self.values.get("filter_body"))
        if wanted is False:
            after.pop("keywords", None)
        elif wanted or "keywords" in after:
            after["keywords"] = keywords


def read(data: object) -> Fields:
    """:raises RefusedError: 400 with the first wrong field."""
    if not isinstance(data, dict):
        raise RefusedError(400, "json validation error: value is not an object")
    values: dict[str, Any] = {}
    for name, longest in _LONGEST.items():
        if name in data:
            values[name] = _text(name, data[name], longest)
    for name in _NUMBERS:
        if name in data:
            values[name] = _number(name, data[name])
    for name in _SWITCHES:
        if name in data:
            if not isinstance(data[name], bool):
                raise _wrong(name, "is not a boolean")
            values[name] = data[name]
    if values.get("methods", "") not in ("", "POST"):
        raise _wrong("methods", "has unexpected value")
    if "tz" in values:
        _check_zone(values["tz"])
    if "slug" in values and not all(c in "abcdefghijklmnopqrstuvwxyz0123456789-_" for c in values["slug"]):
        raise _wrong("slug", "does not match pattern")
    return Fields(values=values, unique=_unique(data.get("unique", [])))


def _text(name: str, value: object, longest: int) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "is not a string")
    if len(value) > longest:
        raise _wrong(name, "is too long")
    if name == "desc":
        return value.replace("\x00", "\ufffd")
    return "".join(character if character.isprintable() else "\ufffd" for character in value)


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "is not a number")
    if value < LEAST_S:
        raise _wrong(name, "is too small")
    if value > MOST_S:
        raise _wrong(name, "is too large")
    return value


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise _wrong("tz", "is not a valid timezone") from None


def _unique(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _wrong("unique", "is not an array")
    if not all(isinstance(item, str) and item in UNIQUE for item in value):
        raise _wrong("unique", "has unexpected value")
    return tuple(value)


def _wrong(name: str, what: str) -> RefusedError:
    return RefusedError(400, f"json validation error: {name} {what}")
