"""The output of Nagios plugins: ``text | performance data``, long output, and performance data again.

Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Performance data".
"""

import re
from dataclasses import dataclass

_SERVICE_WORD = re.compile(r"\b(OK|WARNING|CRITICAL|UNKNOWN)\b")
_ITEM = re.compile(
    r"""\s*(?:'(?P<quoted>(?:[^']|'')*)'|(?P<plain>[^\s='|]+))  # label; '' is a quote within quotes
        =(?P<value>U|[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?)
        (?P<unit>[^\s;\d][^\s;]*)?
        (?P<rest>;[^\s]*)?  # warn;crit;min;max""",
    re.VERBOSE,
)
_WORD = re.compile(r"\s*\S+")
_FACTORS = {
    "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9,
    "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3, "TiB": 1024.0**4,
}  # fmt: skip
_MOST_METRICS = 100
_LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginOutput:
    """What a plugin printed, taken apart."""

    text: str  #: the summary line
    details: str  #: further lines
    metrics: dict[str, float]


def parse_output(stdout: str) -> PluginOutput:
    """Take apart what a plugin printed. Never fails: what is no performance data is passed over.

    The first line is the summary, unless it lacks a service word (OK, WARNING, CRITICAL, UNKNOWN) and a later
    line has one: ``connect to address …: Connection refused`` comes before ``HTTP CRITICAL - …``.
    """
    first, *others = stdout.splitlines() or [""]
    text, _, data = first.partition("|")
    details: list[str] = []
    is_data = False
    for line in others:
        if is_data:
            data += " " + line
            continue
        words, bar, more = line.partition("|")
        details.append(words)
        if bar:
            is_data = True
            data += " " + more
    if not _SERVICE_WORD.search(text):
        telling = next((index for index, line in enumerate(details) if _SERVICE_WORD.search(line)), None)
        if telling is not None:
            text, details[telling] = details[telling], text
    return PluginOutput(text=text.strip(), details="\n".join(details).strip(), metrics=parse_perfdata(data))


def parse_perfdata(data: str) -> dict[str, float]:
    """Performance data as numbers by label; times in seconds, sizes in bytes, other units as they stand.

    Items without a value (``U``) and what cannot be read are left out; at most 100 items are kept.
    """
    metrics: dict[str, float] = {}
    position = 0
    while position < len(data) and len(metrics) < _MOST_METRICS:
        item = _ITEM.match(data, position)
        if item is None:  # pass over one word
            word = _WORD.match(data, position)
            position = word.end() if word else len(data)
            continue
        position = item.end()
        label = (item["plain"] or item["quoted"].replace("''", "'")).strip()[:_LONGEST_LABEL]
        if label and item["value"] != "U":
            metrics[label] = float(item["value"].replace(",", ".")) * _FACTORS.get(item["unit"] or "", 1.0)
    return metrics
