"""What a command loads before it does anything: cron starts Defib each minute, and tests start it hundreds of times."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from defib.cli.main import PARTS

CONFIG = """
store: sqlite:///state.db
monitors: [{id: agent, type: agent}]
channels: {hook: {type: webhook, url: "http://127.0.0.1:9/"}}
"""
NEVER = [
    "aiosmtplib",
    "apprise",
    "babel",
    "croniter",
    "docker",
    "httpx",
    "itsdangerous",
    "jinja2",
    "oncalendar",
    "prometheus_client",
    "psycopg",
    "starlette",
    "telegram",
    "uvicorn",
    "websockets",
    "defib.demo",
    "defib.discovery",
    "defib.web",
]
"""What no command loads that neither serves nor looks at, tells or reports anything."""

_SCRIPT = """
import sys
from defib.cli.main import main
status = main(sys.argv[1:])
print(status, *sys.modules)
"""


@pytest.mark.parametrize(
    ("command", "besides"),
    [
        ("validate", ("alembic", "sqlalchemy", "defib.engine.engine", "defib.store")),
        ("run", ("rich", "defib.cli.show", "defib.cli.serve")),
    ],
)
def test_a_command_loads_what_it_needs(command: str, besides: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "defib.yaml").write_text(CONFIG)

    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, command], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.stderr == ""
    status, *loaded = done.stdout.splitlines()[-1].split()
    assert (status, [module for module in (*NEVER, *besides) if module in loaded]) == ("0", [])


def test_each_command_is_found_without_loading_the_others() -> None:
    registered = {}
    for part in PARTS:
        app = typer.Typer()
        import_module(f"defib.cli.{part}").register(app)
        registered[part] = tuple(item.name for item in (*app.registered_commands, *app.registered_groups))

    assert {part: sorted(names) for part, names in PARTS.items()} == {
        part: sorted(map(str, names)) for part, names in registered.items()
    }
