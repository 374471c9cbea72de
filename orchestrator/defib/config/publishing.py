"""The JSON Schema of a configuration, for editors and for those who write configurations with programs.

It is put together from the same models that read the file, with the plugins that are installed.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from defib.config.route_keys import InhibitKeys, RouteKeys
from defib.config.schema import (
    ChannelKeys,
    DefaultsKeys,
    MaintenanceKeys,
    MonitorKeys,
    NamedStrategyKeys,
    RecoveryKeys,
    ReportKeys,
    RootKeys,
    RungKeys,
    StrategyKeys,
)
from defib.model.monitor import RecoveryMode
from defib.model.options import format_duration
from defib.registry import Kinds, Registry

Schema = dict[str, Any]

_OWN: tuple[type[BaseModel], ...] = (
    ChannelKeys, DefaultsKeys, MaintenanceKeys, MonitorKeys, NamedStrategyKeys, RecoveryKeys, ReportKeys, RootKeys,
    InhibitKeys, RouteKeys, RungKeys, StrategyKeys,
)  # fmt: skip
_REFERENCE = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "${NAME}, ${NAME:-default} or ${file:/path} may stand for any value.",
}
_RESTRICTED_TEXT = ("pattern", "enum", "const", "format", "minLength", "maxLength")
_ANNOTATIONS = ("title", "description", "default", "examples")


def json_schema(registry: Registry) -> Schema:
    """See :func:`defib.config.json_schema`."""
    return _Publisher(registry).schema()


class SchemaGenerator(GenerateJsonSchema):
    """Pydantic's, with durations as users write them."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


class _Publisher:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        kinds: tuple[Kinds[Any], ...] = (registry.monitors, registry.actions, registry.channels)
        offered: list[type[BaseModel]] = [item.options for family in kinds for item in family.items.values()]
        models = dict.fromkeys((*_OWN, *offered))
        self._references, definitions = models_json_schema(
            [(model, "validation") for model in models],
            ref_template="#/$defs/{model}",
            schema_generator=SchemaGenerator,
        )
        self._defs: dict[str, Schema] = definitions["$defs"]

    def schema(self) -> Schema:
        registry, root = self._registry, self._model(RootKeys)
        monitor = self._by_type(registry.monitors, self._common_monitor())
        channel = self._by_type(registry.channels, self._properties(ChannelKeys))
        rungs = {
            kind: self._options(action.options, self._properties(RungKeys))
            for kind, action in registry.actions.items.items()
        }
        for kind, rung in rungs.items():
            rung["description"] = registry.actions[kind].summary
            if not rung.get("required"):
                rung["type"] = ["object", "null"]
        defs = {
            **self._defs,
            "reference": _REFERENCE,
            "monitor": {**monitor, "required": ["id", "type"]},
            "channel": {**channel, "required": ["type"]},
            "rung": {"type": "object", "minProperties": 1, "maxProperties": 1, **_closed(rungs)},
            "mode": {"enum": [str(mode) for mode in RecoveryMode]},
            "ladder": {"type": "array", "items": {"$ref": "#/$defs/rung"}},
            "recovery": {
                "anyOf": [
                    {"$ref": "#/$defs/mode"},
                    {"$ref": "#/$defs/ladder"},
                    {
                        "type": "object",
                        **_closed({**self._properties(RecoveryKeys), "ladder": {"$ref": "#/$defs/ladder"}}),
                    },
                ]
            },
        }
        properties = {
            **root["properties"],
            "defaults": {
                "type": "object",
                **_closed(
                    {
                        **self._properties(DefaultsKeys),
                        "recovery": {"anyOf": [{"$ref": "#/$defs/mode"}, self._ref(RecoveryKeys)]},
                    }
                ),
            },
            "strategies": {"type": "object", "additionalProperties": self._ref(NamedStrategyKeys)},
            "monitors": {"type": "array", "items": {"$ref": "#/$defs/monitor"}},
            "channels": {"type": "object", "additionalProperties": {"$ref": "#/$defs/channel"}},
            "routes": {"type": "array", "items": self._ref(RouteKeys)},
            "inhibit": {"type": "array", "items": self._ref(InhibitKeys)},
            "reports": {
                "type": "object",
                "properties": {kind: self._ref(ReportKeys) for kind in registry.reports.names()},
                "additionalProperties": {"allOf": [self._ref(ReportKeys)], "required": ["type"]},
            },
            "maintenance": {"type": "array", "items": self._ref(MaintenanceKeys)},
        }
        whole: Schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Configuration of Defib",
            "type": "object",
            **_closed(properties),
            "$defs": defs,
        }
        return _polished(whole)

    def _common_monitor(self) -> Schema:
        return {
            **self._properties(MonitorKeys),
            "recovery": {"$ref": "#/$defs/recovery"},
            **self._properties(StrategyKeys),
        }

    def _by_type(self, kinds: Kinds[Any], common: Mapping[str, Schema]) -> Schema:
        """An object whose key ``type`` decides about the others."""
        branches = []
        for kind in kinds.names():
            own = {**common, "type": {"const": kind, "description": kinds[kind].summary}}
            branches.append(
                {
                    "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                    "then": self._options(kinds[kind].options, own),
                }
            )
        return {"type": "object", "properties": {"type": {"enum": kinds.names()}}, "allOf": branches}

    def _options(self, model: type[BaseModel], beside: Mapping[str, Schema]) -> Schema:
        """The options of a plugin, with the keys that stand beside them."""
        own = self._model(model)
        rest = {key: value for key, value in own.items() if key not in ("title", "description")}
        return {**rest, **_closed({**own.get("properties", {}), **beside})}

    def _ref(self, model: type[BaseModel]) -> Schema:
        return dict(self._references[(model, "validation")])

    def _model(self, model: type[BaseModel]) -> Schema:
        name = self._ref(model)["$ref"].rpartition("/")[2]
        return self._defs[name]

    def _properties(self, model: type[BaseModel]) -> dict[str, Schema]:
        """References to the keys of ``model``, so that each is described once."""
        pointer = self._ref(model)["$ref"]
        return {
            name: {"$ref": f"{pointer}/properties/{name}"}
            for name in self._model(model).get("properties", ())
        }


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"properties": dict(properties), "additionalProperties": False}


def _polished(schema: Schema) -> Schema:
    """Without pydantic's titles of keys, and with references allowed wherever a value is not free text."""
    polished = dict(schema)
    for key in ("properties", "$defs"):
        if key in polished:
            polished[key] = {name: _polished_below(below) for name, below in polished[key].items()}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in polished:
            polished[key] = [_polished_below(below) for below in polished[key]]
    for key in ("additionalProperties", "items", "then"):
        if isinstance(polished.get(key), dict):
            polished[key] = _polished_below(polished[key])
    return polished


def _polished_below(schema: Schema) -> Schema:
    polished = {key: value for key, value in _polished(schema).items() if key != "title"}
    is_restricted = polished.get("type") in ("integer", "number", "boolean") or (
        polished.get("type") in ("string", None) and any(key in polished for key in _RESTRICTED_TEXT)
    )
    if not is_restricted or polished == _REFERENCE:
        return polished
    notes = {key: polished.pop(key) for key in _ANNOTATIONS if key in polished}
    return {**notes, "anyOf": [*_as_written(polished), {"$ref": "#/$defs/reference"}]}


def _as_written(schema: Schema) -> list[Schema]:
    """A restricted value in the forms that users may write: a percentage also as ``90%``."""
    if is_percentage(schema):
        return [
            {"type": "number", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": r"^[0-9.]+ *%$"},
        ]
    return [schema]


def is_percentage(schema: Schema) -> bool:
    """Whether it is of the model's type ``Percent``; pydantic leaves the bounds of such a type under these names."""
    return schema.get("type") == "number" and (schema.get("ge"), schema.get("le")) == (0, 100)
