"""The configuration as a text, and what was found as lines for the terminal. Pure."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from defib.discovery import examples, writing
from defib.discovery.finding import Finding, Found, Value

_HEADER = """\
# The configuration of Defib, written by 'defib init' from what it found on this machine.
#
# Go through it once: take out what nobody would miss, and give better names where you know them.
# An id is for good, because the history of its monitor hangs on it; a name may change at any time.
#
# 'defib validate' tells every mistake at once, with its line. 'defib serve' watches, and takes a
# changed file over when it gets a SIGHUP; one with mistakes changes nothing.
#
# A '#' right before a key, as in '#reports:', makes it and the lines below it an example: remove
# the '#' of each to use it.
"""

_TOP = """\
timezone: {timezone}
store: sqlite:///defib.db       # beside this file; or postgresql://user@host/database
server:
  listen: 127.0.0.1:8420        # this machine only, until you say otherwise
  #public_url: https://health.example.com

defaults:
  strategy: normal              # aggressive every 15s, normal 30s, conservative 60s
  # Dry-run: Defib tells what it would repair, and touches nothing. When you agree with what it
  # says, arm it with 'mode: auto': here for all, or in the 'recovery' of a monitor for that one.
  recovery: {{mode: dry-run}}     # auto | dry-run | off
"""


def render(found: Found, timezone: str, scripts: Path | None) -> str:
    """The whole file.

    :param scripts: the folder of recovery scripts; None where none was found.
    """
    lines = [*_HEADER.splitlines(), "", *_TOP.format(timezone=writing.scalar(timezone)).splitlines()]
    lines.append("  # The only folder that recovery scripts are run from.")
    if scripts is not None:
        lines.append(f"  recovery_scripts: {writing.scalar(str(scripts))}")
    else:
        lines.append("  #recovery_scripts: /usr/local/share/defib/recovery_scripts")
    lines += ["", "monitors:"]
    for group, findings in groupby(found.findings, key=lambda finding: finding.group):
        lines += [_rule(group), ""]
        for finding in findings:
            lines += [*_monitor(finding), ""]
    lines += [_rule("Jobs"), "", *examples.JOBS.splitlines(), ""]
    for note in found.notes:
        lines += writing.comment(note, 2)
    if found.notes:
        lines.append("")
    return "\n".join(lines) + "\n" + examples.TELLING


def summary(found: Found) -> list[str]:
    """A line for each finding, aligned, and the notes."""
    rows = [(finding.id, finding.kind, writing.printable(finding.target)) for finding in found.findings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {target}" for name, kind, target in rows]
    return ["Found on this machine:", *lines, *map(writing.printable, found.notes)]


def _rule(heading: str) -> str:
    return f"  # --- {heading} ".ljust(writing.WIDTH, "-")


def _monitor(finding: Finding) -> Iterator[str]:
    yield from writing.comment(finding.comment, 2)
    first, *rest = writing.block(_keys(finding), 4)
    yield f"  - {first.lstrip()}"
    yield from rest
    if finding.hint:
        yield from writing.comment("What restarts it is not known. If this does:", 4)
        for line in writing.block({"recovery": finding.hint}, 0):
            yield f"    #{line}"


def _keys(finding: Finding) -> dict[str, Value]:
    keys: dict[str, Value] = {"id": finding.id}
    fields = dict(finding.fields)
    if "name" in fields:
        keys["name"] = fields.pop("name")
    keys |= {"type": finding.kind, **fields}
    if finding.requires:
        keys["requires"] = finding.requires
    if finding.recovery:
        keys["recovery"] = finding.recovery
    return keys
