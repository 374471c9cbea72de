"""The reference page, the JSON Schema and the examples say what the code does."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from config_kit import ROOT, real_registry, toy_registry
from defib import config
from defib.config.__main__ import main
from defib.config.findings import Findings
from defib.config.monitors import TAKEN_KEYS
from defib.config.nodes import plain
from defib.config.reader import read
from defib.config.reference import renew
from defib.config.schema import RungKeys, field_names
from defib.model.settings import Settings
from defib.registry import Kinds

REFERENCE = ROOT / "docs" / "reference"
PAGE = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
ENVIRON = {
    "TELEGRAM_TOKEN": "123456789:AAEhBP0av28frZ8vqQmcK3xYRT1QdOtWWhI",
    "SMTP_PASSWORD": "hunter2",
    "DATABASE_PASSWORD": "hunter2",
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return config.json_schema(real_registry())


def load(folder: Path, text: str) -> Settings:
    """Load ``text`` with the built-in plugins, beside the files that the page speaks of."""
    scripts = folder / "recovery_scripts"
    scripts.mkdir(mode=0o755, exist_ok=True)
    script = scripts / "restart_agent.sh"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    script.chmod(0o755)
    (folder / "smtp-password").write_text("hunter2\n", encoding="utf-8")
    path = folder / "defib.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, real_registry(), ENVIRON)


def as_json(text: str) -> Any:
    node = read(text, "f", Findings())
    assert node is not None
    return plain(node)


@pytest.mark.parametrize("text", SNIPPETS)
def test_every_example_of_the_page_loads(text: str, tmp_path: Path) -> None:
    load(tmp_path, text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_file_loads_without_warnings(path: Path) -> None:
    assert config.load(path, real_registry(), ENVIRON).warnings == ()


def test_there_are_the_promised_examples() -> None:
    assert [path.stem for path in EXAMPLES] == ["cron-only", "minimal", "small-company"]
    assert len(SNIPPETS) == 14


@pytest.mark.parametrize("text", [*SNIPPETS, *(path.read_text(encoding="utf-8") for path in EXAMPLES)])
def test_the_schema_accepts_every_example(text: str, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(as_json(text))


@pytest.mark.parametrize(
    "text",
    [
        "wrong: 1",
        "monitors: {}",
        "monitors: [{id: a}]",
        "monitors: [{type: tcp, host: x, port: 1}]",
        "monitors: [{id: A, type: tcp, host: x, port: 1}]",
        "monitors: [{id: a, type: tpc, host: x, port: 1}]",
        "monitors: [{id: a, type: tcp, host: x, port: many}]",
        "monitors: [{id: a, type: tcp, host: x, port: 1, interval: 5}]",
        "monitors: [{id: a, type: tcp, host: x, port: 1, url: x}]",
        "monitors: [{id: a, type: tcp, host: x, port: 1, recovery: maybe}]",
        "monitors: [{id: a, type: tcp, host: x, port: 1, recovery: [{wrong: {}}]}]",
        "monitors: [{id: a, type: tcp, host: x, port: 1, recovery: [{script: }]}]",
        "monitors: [{id: a, type: tcp, host: x, port: 1, recovery: [{systemd: {unti: x}}]}]",
        "channels: {a: {type: email}}",
        "routes: [{match: {severity: loud}, channels: a}]",
        "reports: {yearly: {cron: 0 8 * * *}}",
        "defaults: {recovery: {ladder: []}}",
        "strategies: {a: {timeout: 5}}",
    ],
)
def test_the_schema_refuses_what_defib_refuses(text: str, schema: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(schema).is_valid(as_json(text))


def test_the_schema_takes_references_for_any_value(schema: dict[str, Any]) -> None:
    text = """
monitors:
  - {id: "${ID}", type: tcp, host: x, port: "${PORT}", interval: "${EVERY}", enabled: "${ON}", recovery: "${MODE}"}
"""
    jsonschema.Draft202012Validator(schema).validate(as_json(text))


def test_the_schema_is_sound_with_and_without_plugins_of_ours() -> None:
    for registry in (real_registry(), toy_registry()):
        jsonschema.Draft202012Validator.check_schema(config.json_schema(registry))


def test_the_published_schema_is_current(schema: dict[str, Any]) -> None:
    published = json.loads((REFERENCE / "defib.schema.json").read_text(encoding="utf-8"))

    assert published == schema, "renew it: python -m defib.config schema > docs/reference/defib.schema.json"


def test_the_tables_of_the_page_are_current() -> None:
    renewed = renew(PAGE, real_registry())

    assert renewed == PAGE, "renew it: python -m defib.config reference docs/reference/configuration.md"


def test_a_module_prints_what_is_generated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"], real_registry) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Configuration of Defib"
    assert main(["reference", str(REFERENCE / "configuration.md")], real_registry) == 0
    assert capsys.readouterr().out.startswith("# Configuration\n")
    assert main(["nonsense"], real_registry) == 2
    assert "python -m defib.config schema" in capsys.readouterr().err


def test_no_built_in_plugin_claims_a_key_that_every_monitor_or_rung_has() -> None:
    registry = real_registry()
    kinds: list[tuple[Kinds[Any], Mapping[str, None]]] = [
        (registry.monitors, TAKEN_KEYS),
        (registry.actions, field_names(RungKeys)),
        (registry.channels, {"type": None}),
    ]

    clashes = [
        f"{family.noun} {kind}: {sorted(set(field_names(family[kind].options)) & set(taken))}"
        for family, taken in kinds
        for kind in family.names()
        if set(field_names(family[kind].options)) & set(taken)
    ]

    assert clashes == []


def test_the_written_lists_of_the_example_configuration_mean_what_they_say() -> None:
    settings = config.load(ROOT / "examples" / "small-company.yaml", real_registry(), ENVIRON)

    assert [monitor.id for monitor in settings.monitors] == [
        "main", "chat", "coding", "db", "postgres-container", "gateway", "this-host", "ssh", "nightly-backup",
    ]  # fmt: skip
    chat = settings.monitors[1]
    assert (chat.name, sorted(chat.tags), list(chat.requires)) == ("Chat Agent", ["agents"], ["db"])
    assert [route.channels for route in settings.routes] == [("on-call", "everybody"), ("everybody",)]
    assert settings.monitors[7].recovery.mode == "off"
