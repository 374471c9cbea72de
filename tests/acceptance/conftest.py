"""The company that acceptance tests watch."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from defib.cli.main import main
from defib_testkit.company import Company


@pytest.fixture
def make_company(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Make companies without monitors and channels."""
    with ExitStack() as stack:

        def make(**options: Any) -> Company:
            folder = tmp_path / f"company-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(closing(Company(folder, **options)))

        yield make


@pytest.fixture
def company(make_company: Callable[..., Company]) -> Company:
    return make_company()


@pytest.fixture
def here(
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run a command of a company in this process, where it costs no start of Python."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(company: Company, *arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        status = main(["-c", str(company.config), *arguments])
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, out, err)

    yield run
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
