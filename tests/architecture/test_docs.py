"""What the documentation says, held against the code: names, links, commands, hooks, keys and examples."""

import asyncio
import importlib.metadata
import inspect
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import typer

from config_kit import ROOT, real_registry
from defib import config, hookspecs, plugin, registry
from defib.cli.main import command_line
from defib.config import schema
from defib.model.options import Options
from defib.plugin import BuildContext, State
from defib_testkit.ports import free_port
from monitor_kit import frame, serving
from plugin_reference import renew

DOCS = ROOT / "docs"
PAGES = sorted({*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")})
HOOKS = (DOCS / "reference" / "plugin-hooks.md").read_text(encoding="utf-8")
COMMANDS = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
MAP = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
ENVIRON = {
    "TELEGRAM_TOKEN": "123456789:AAEhBP0av28frZ8vqQmcK3xYRT1QdOtWWhI", "SMTP_PASSWORD": "hunter2",
    "REGISTRATION_KEY": "let-me-in-please", "HOOK_SECRET": "a key", "CHAT_URL": "https://chat.example.com/in/1",
    "NTFY_TOPIC": "defib-alerts", "NTFY_TOKEN": "tk_1", "APPRISE_URL": "json://localhost",
}  # fmt: skip


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def anchors(path: Path) -> set[str]:
    """As Git forges make them of headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- links ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            broken.append(link)

    assert broken == []


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.name != "README.md"]

    assert [page for page in pages if f"]({page})" not in index] == []


# --- the map -------------------------------------------------------------------------------------------


def test_every_place_on_the_map_exists() -> None:
    places = re.findall(r"^\| `([^`]+)` \|", MAP, re.MULTILINE)

    assert len(places) > 30
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_package_and_module_of_the_kernel_is_on_the_map() -> None:
    kernel = ROOT / "orchestrator" / "defib"
    parts = [
        path
        for path in kernel.iterdir()
        if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.stem.startswith("__"))
    ]

    assert [path.name for path in parts if f"`{path.relative_to(ROOT).as_posix()}`" not in MAP] == []


# --- commands ------------------------------------------------------------------------------------------


def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name.strip(), command
        return
    for part, inner in command.commands.items():
        yield from commands(inner, f"{name} {part}")


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^### `defib ([a-z -]+)`\n", page, flags=re.MULTILINE)
    return {name: text.split("\n## ")[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def flags(parameters: list[Any]) -> set[str]:
    names = {
        name for item in parameters for name in (*item.opts, *item.secondary_opts) if name.startswith("-")
    }
    return names - {"-h", "--help"}


def test_every_command_is_described_and_no_other() -> None:
    real = {name for name, _ in commands(typer.main.get_command(command_line()))}

    assert set(sections(COMMANDS)) == real


def test_every_option_of_every_command_is_described_and_no_other() -> None:
    told = {
        name: set(re.findall(r"`(--?[a-z-]+)`", "\n".join(re.findall(r"^\| (`-.*?) \|", text, re.MULTILINE))))
        for name, text in sections(COMMANDS).items()
    }

    assert told == {
        name: flags(command.params) for name, command in commands(typer.main.get_command(command_line()))
    }


def test_every_global_option_is_described() -> None:
    head = COMMANDS.split("\n## ")[0]

    assert {
        flag for flag in flags(typer.main.get_command(command_line()).params) if f"`{flag}`" not in head
    } == set()


# --- plugins -------------------------------------------------------------------------------------------


def test_every_hook_and_descriptor_has_its_place() -> None:
    hooks = [name for name in dir(hookspecs) if name.startswith("defib_")]
    descriptors = [name for name in dir(hookspecs) if name.endswith("Type")]

    assert len(hooks) == 8
    assert [hook for hook in hooks if f"\n### `{hook}`\n" not in HOOKS] == []
    assert [name for name in descriptors if f"<!-- fields: {name} -->" not in HOOKS] == []


def test_every_public_name_of_the_plugin_api_is_described() -> None:
    assert [name for name in plugin.__all__ if not re.search(rf"\b{name}\b", HOOKS)] == []


def test_every_value_of_the_plugin_api_has_a_table_of_its_fields() -> None:
    values = [
        name
        for name in plugin.__all__
        if inspect.isclass(cls := getattr(plugin, name))
        and (hasattr(cls, "__dataclass_fields__") or issubclass(cls, StrEnum))
    ]

    assert [name for name in values if f"<!-- fields: {name} -->" not in HOOKS] == []


def test_the_tables_of_plugin_hooks_are_current() -> None:
    assert renew(HOOKS) == HOOKS, (
        "renew it: python tests/support/plugin_reference.py docs/reference/plugin-hooks.md"
    )


def test_every_key_of_the_configuration_is_described() -> None:
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    models = [cls for _, cls in inspect.getmembers(schema, inspect.isclass) if issubclass(cls, Options)]
    keys = {field.alias or name for cls in models for name, field in cls.model_fields.items()}

    assert len(keys) > 30
    assert [key for key in sorted(keys) if not re.search(rf"`(?:[a-z_]+\.)*{key}`", page)] == []


# --- words ---------------------------------------------------------------------------------------------


def test_the_glossary_knows_every_state_and_every_idea_of_the_model() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8").lower()
    model = [path.stem for path in (ROOT / "orchestrator" / "defib" / "model").glob("[a-z]*.py")]
    ideas = set(model) - {"changes", "health", "ids", "options", "settings"}  # of the code, not of its users

    assert [idea for idea in sorted(ideas) if f"*{idea}*" not in glossary] == []
    assert [
        state for state in State if state not in glossary and state not in ("maintenance", "paused")
    ] == []


# --- examples ------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where examples find the script that they speak of."""
    scripts = tmp_path / "recovery_scripts"
    scripts.mkdir(mode=0o755)
    script = scripts / "restart_agent.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return tmp_path


MONITOR = "monitors: [{id: main, type: http, url: http://localhost:8000/health}]\n"
EXAMPLES = [
    pytest.param(text if "monitors:" in text else f"{MONITOR}{text}", id=f"{path.stem}-{number}")
    for path in [
        *sorted((DOCS / "how-to").glob("*.md")),
        DOCS / "reference" / "channels.md",
        ROOT / "README.md",
    ]
    for number, text in enumerate(blocks(path, "yaml"), 1)
    if "type: redis" not in text
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_configuration_loads_without_warnings(text: str, folder: Path) -> None:
    path = folder / "defib.yaml"
    path.write_text(text)

    assert config.load(path, real_registry(), ENVIRON).warnings == ()


@pytest.fixture
def redis_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.Registry:
    """The plugin of the how-to, as if it were installed."""
    source, _ = blocks(DOCS / "how-to" / "write-a-plugin.md", "python")
    (tmp_path / "defib_redis.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    points = [importlib.metadata.EntryPoint("redis", "defib_redis", "defib")]
    points += [importlib.metadata.EntryPoint("presets", "defib_strategies.presets", "defib")]
    points += [importlib.metadata.EntryPoint("consecutive", "defib_strategies.consecutive", "defib")]
    return registry.load(points)


def test_the_configuration_of_the_plugin_how_to_loads_with_its_plugin(
    redis_plugin: registry.Registry, tmp_path: Path
) -> None:
    [text] = blocks(DOCS / "how-to" / "write-a-plugin.md", "yaml")
    (tmp_path / "defib.yaml").write_text(text)

    [monitor] = config.load(tmp_path / "defib.yaml", redis_plugin, {}).monitors
    assert (monitor.kind, monitor.family) == ("redis", "database")


async def test_the_plugin_of_the_how_to_tells_well_from_wrong_from_refused(
    redis_plugin: registry.Registry, tmp_path: Path
) -> None:
    async def look(port: int) -> tuple[str, str]:
        kind = redis_plugin.monitors["redis"]
        monitor = kind.create(kind.options(port=port), BuildContext(base=tmp_path))
        evidence = await monitor.probe(frame(2.0))
        await monitor.close()
        return evidence.outcome, evidence.cause

    answers = [b"+PONG\r\n", b"-NOAUTH\r\n"]

    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"PING\r\n"
        writer.write(answers.pop(0))

    async with serving(redis) as port:
        assert await look(port) == ("ok", "ok")
        assert await look(port) == ("fail", "wrong-answer")
    assert await look(free_port()) == ("fail", "refused")
