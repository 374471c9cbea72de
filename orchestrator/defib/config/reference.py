"""The tables of ``docs/reference/configuration.md``, made of the models that read the file.

A table stands between two comments, ``<!-- keys: server -->`` and ``<!-- end -->``; :func:`renew` writes all of
them anew and leaves the rest of the page alone.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from defib.config import route_keys, schema
from defib.config.publishing import SchemaGenerator, is_percentage
from defib.model.options import format_duration
from defib.model.strategy import Strategy
from defib.registry import Kinds, Registry

_BLOCK = re.compile(r"(<!-- keys: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OWN: Mapping[str, type[BaseModel]] = {
    "top": schema.RootKeys,
    "defaults": schema.DefaultsKeys,
    "recovery": schema.RecoveryKeys,
    "rung": schema.RungKeys,
    "strategy": schema.NamedStrategyKeys,
    "monitor": schema.MonitorKeys,
    "channel": schema.ChannelKeys,
    "route": route_keys.RouteKeys,
    "inhibit": route_keys.InhibitKeys,
    "report": schema.ReportKeys,
    "maintenance": schema.MaintenanceKeys,
}
_MAX_DEPTH = 3


def renew(page: str, registry: Registry) -> str:
    """``page`` with every table between its comments as it must be.

    :raises KeyError: a comment names a table that does not exist.
    """
    tables: dict[str, Callable[[], str]] = {
        "presets": lambda: _presets(registry.strategies.items.values()),
        "monitors": lambda: _kinds(registry.monitors),
        "actions": lambda: _kinds(registry.actions),
        "channels": lambda: _kinds(registry.channels),
        "reports": lambda: _summaries(registry.reports),
        "detectors": lambda: _summaries(registry.detectors),
    }

    def table(match: re.Match[str]) -> str:
        name = match["name"]
        text = _table(_OWN[name]) if name in _OWN else tables[name]()
        return f"{match[1]}\n{text}\n{match[3]}"

    return _BLOCK.sub(table, page)


def _presets(strategies: Iterable[Strategy]) -> str:
    lines = [
        "| name | interval | timeout | confirm | to fail | to recover | |",
        "|---|---|---|---|---|---|---|",
    ]
    for strategy in sorted(strategies, key=lambda strategy: strategy.interval):
        confirm = ", ".join(format_duration(wait) for wait in strategy.confirm) or "–"
        lines.append(
            f"| `{strategy.name}` | {format_duration(strategy.interval)} | {format_duration(strategy.timeout)} "
            f"| {confirm} | {strategy.fail_threshold or 'auto'} | {strategy.recovery_threshold} | {strategy.summary} |"
        )
    return "\n".join(lines) + "\n"


def _kinds(kinds: Kinds[Any]) -> str:
    return "\n".join(
        f"### `{kind}`\n\n{kinds[kind].summary}\n\n{_table(kinds[kind].options)}" for kind in kinds.names()
    )


def _summaries(kinds: Kinds[Any]) -> str:
    return "".join(f"- `{kind}`: {kinds[kind].summary}\n" for kind in kinds.names())


def _table(model: type[BaseModel]) -> str:
    whole = model.model_json_schema(schema_generator=SchemaGenerator)
    rows = list(_rows(whole, whole.get("$defs", {}), ""))
    if not rows:
        return "It has no keys of its own.\n"
    return "\n".join(["| key | value | default | |", "|---|---|---|---|", *rows]) + "\n"


def _rows(node: dict[str, Any], defs: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, written in node.get("properties", {}).items():
        forms = [form for form in _forms(written, defs) if form.get("type") != "null"]
        described: Mapping[str, Any] = next((form for form in (written, *forms) if "description" in form), {})
        path = f"{prefix}{name}"
        cells = (
            f"`{path}`",
            _either(_value(form, defs) for form in forms),
            "required" if name in node.get("required", ()) else _default(written),
            str(described.get("description", "")).rstrip("."),
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
        for form in forms:
            if "properties" in form and path.count(".") < _MAX_DEPTH:
                yield from _rows(form, defs, f"{path}.")


def _forms(node: dict[str, Any], defs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a value may be: references followed, alternatives taken apart."""
    if "$ref" in node:
        return _forms(defs[node["$ref"].rpartition("/")[2]], defs)
    alternatives = [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]
    return [form for alternative in alternatives for form in _forms(alternative, defs)] or [node]


def _value(form: dict[str, Any], defs: Mapping[str, Any]) -> str:
    if choices := form.get("enum") or ([form["const"]] if "const" in form else []):
        return ", ".join(f"`{choice}`" for choice in choices)
    match form.get("type"):
        case "string":
            if form.get("examples") == ["250ms", "15s", "5m", "2h", "7d"]:
                return "duration"
            return {"password": "secret text", "path": "path", "file-path": "path"}.get(
                form.get("format", ""), "text"
            )
        case "number" if is_percentage(form):
            return "percentage"
        case "integer":
            return f"whole number{_range(form)}"
        case "number":
            return f"number{_range(form)}"
        case "boolean":
            return "`true`, `false`"
        case "array":
            inner = form.get("items")
            return (
                f"list of {_either(_value(item, defs) for item in _forms(inner, defs))}" if inner else "list"
            )
        case "object" if isinstance(below := form.get("additionalProperties"), dict):
            return f"mapping to {_either(_value(item, defs) for item in _forms(below, defs))}"
        case "object":
            return "mapping"
        case _:
            return "any"


def _range(form: dict[str, Any]) -> str:
    least, most = form.get("minimum"), form.get("maximum")
    if least is not None and most is not None:
        return f", {least:g} to {most:g}"
    if least is not None:
        return f", at least {least:g}"
    return f", at most {most:g}" if most is not None else ""


def _either(values: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(values))


def _default(node: dict[str, Any]) -> str:
    default = node.get("default")
    if default is None or default in ([], {}, ""):
        return "–"
    if isinstance(default, dict):
        return "as below"
    return f"`{default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)}`"
