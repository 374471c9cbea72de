"""The company that acceptance tests watch."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

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
