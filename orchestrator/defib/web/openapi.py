"""The description of the API, made from the table of operations: OpenAPI 3.1."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from defib import __version__
from defib.web import answers
from defib.web.operations import API, Operation
from defib.web.problems import MEDIA_TYPE as PROBLEM

_REF = "#/components/schemas/{model}"
_GROUPS = {
    "Overview": "Everything at once.",
    "Monitors": "What is watched.",
    "Incidents": "What went wrong, each from its beginning to its end.",
    "Alerts": "What people were told, and the channels it went through.",
    "Silences and maintenance": "When less is said or done than ever.",
    "Recovery": "What was done about it.",
    "Strategies": "How often is looked, and how much evidence decides.",
    "Agents": "Who reports by itself, and what it reported last.",
    "Tokens": "Keys for programs, each with a scope.",
    "Reports": "A day in numbers.",
    "Plugins": "What is installed.",
    "Defib": "The daemon itself.",
    "Health": "For supervisors and scrapers.",
}
_PLAIN = (
    (
        "/health",
        "getHealth",
        "How Defib itself is, as application/health+json.",
        "application/health+json",
        True,
    ),
    ("/livez", "getLivez", "The process answers.", "text/plain", False),
    ("/readyz", "getReadyz", "It watches.", "text/plain", True),
    ("/metrics", "getMetrics", "For Prometheus, in its text format or as OpenMetrics.", "text/plain", False),
)
"""Beside the API: path, name, summary, media type, and whether it answers 503 when Defib cannot watch."""

_DESCRIPTION = """\
Reading is open while Defib listens on this machine's own addresses only; otherwise it needs the token or a login, as
does everything that changes something. A WebSocket at `/api/v1/events` sends `{"type", "monitor"}` whenever something
changed, as a sign to read it again: `monitor`, `incident`, `recovery`, `delivery`, `windows`, `strategy`, `reload`,
`resync` (events were lost) and `alive` (every 15 seconds without another). Errors are RFC 9457 problem details.
Instants are RFC 3339.
"""


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document."""
    operations = list(operations)
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(API + operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    for path, name, summary, media, may_fail in _PLAIN:
        paths[path] = {"get": _plain(name, summary, media, may_fail)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Defib",
            "summary": "Watches heartbeats and restarts hearts.",
            "description": _DESCRIPTION,
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {"Problem": _problem("What is wrong, and what to do.")},
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "The token of this run, or one that was made, of the scope that an operation names.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "defib_session",
                    "description": "A login; what changes something needs the header X-CSRF-Token, too.",
                },
            },
        },
    }  # fmt: skip


class _Schemas:
    """The schema of every type that is asked for or answered, with shared parts under their names."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: dict[tuple[str, JsonSchemaMode], Any] = {
            ("ProblemDetails", "serialization"): answers.ProblemDetails
        }
        for operation in operations:
            wanted[operation.name, "serialization"] = operation.shape
            if operation.body is not None:
                wanted[operation.name, "validation"] = operation.body
        inputs = [(key, mode, TypeAdapter(shape)) for (key, mode), shape in wanted.items()]
        self._of, rest = TypeAdapter.json_schemas(inputs, ref_template=_REF, schema_generator=_Generator)
        self.definitions: dict[str, Any] = rest["$defs"]

    def answer(self, name: str) -> Any:
        return self._of[name, "serialization"]

    def body(self, name: str) -> Any:
        return self._of[name, "validation"]


class _Generator(GenerateJsonSchema):
    """Titles that only repeat a name are left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    content = {
        media: {"schema": schemas.answer(operation.name) if media.endswith("json") else {"type": "string"}}
        for media in operation.media
    }
    responses: dict[str, Any] = {
        str(int(operation.status)): {"description": operation.summary, "content": content},
        "401": _problem("A token or a login is needed."),
        "429": _problem("Too many wrong tokens came from this address."),
        "503": _problem("The store cannot be read or written."),
    }
    if operation.query is not None or operation.body is not None:
        responses["422"] = _problem("Something that was asked or sent is wrong; `errors` says what.")
    if operation.body is not None:
        responses["400"] = _problem("The body is no JSON object.")
        responses["413"] = _problem("The body is longer than 64 kB.")
    if operation.steers:
        responses["403"] = _problem(
            "The token's scope does not reach, or the session's CSRF token is missing."
        )
    for status, text in operation.refusals.items():
        responses[str(int(status))] = _problem(text)
    description: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "description": f"Needs a token of scope {operation.scope} or wider, or a login."
        if operation.steers
        else "Open where reading is, else needs a token of scope read or wider, or a login.",
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": dict(sorted(responses.items())),
        "security": [{"token": []}, {"session": []}] + ([] if operation.steers else [{}]),
    }
    if operation.body is not None:
        required = any(field.is_required() for field in operation.body.model_fields.values())
        body = {"application/json": {"schema": schemas.body(operation.name)}}
        description["requestBody"] = {"required": required, "content": body}
    return description


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = TypeAdapter(model).json_schema(schema_generator=_Generator)
    found = []
    for name, shape in schema["properties"].items():
        text = shape.pop("description", "")
        found.append({"name": name, "in": "query", "description": text, "schema": _inline(shape, schema)})
    return found


def _inline(shape: Any, schema: Mapping[str, Any]) -> Any:
    """A parameter's schema without references: parameters are few and small."""
    match shape:
        case {"$ref": reference, **rest}:
            return {**_inline(schema["$defs"][reference.rpartition("/")[2]], schema), **_inline(rest, schema)}
        case dict():
            return {key: _inline(value, schema) for key, value in shape.items()}
        case list():
            return [_inline(item, schema) for item in shape]
    return shape


def _plain(name: str, summary: str, media: str, may_fail: bool) -> dict[str, Any]:
    shape = {"type": "object"} if media.endswith("json") else {"type": "string"}
    content = {media: {"schema": shape}}
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    if may_fail:
        responses["503"] = {"description": "Defib cannot watch.", "content": content}
    return {"operationId": name, "tags": ["Health"], "summary": summary, "responses": responses}


def _problem(text: str) -> dict[str, Any]:
    shape = {"$ref": _REF.format(model="ProblemDetails")}
    return {"description": text, "content": {PROBLEM: {"schema": shape}}}
