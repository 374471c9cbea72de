"""What a test does when this machine lacks a part that it runs against."""

import os
from typing import NoReturn

import pytest


def require(part: str, how: str) -> NoReturn:
    """Skip the test because ``part`` is missing; fail it instead where everything must be there.

    :param part: what is missing, as the beginning of a sentence: ``"dockerd"``.
    :param how: how to get it, as an instruction: ``"apt install docker.io"``.

    ``DEFIB_TEST_REQUIRE=all`` turns the skip into a failure, so that continuous integration cannot grow
    quietly blind.
    """
    reason = f"{part} is missing; to get it: {how}"
    if os.environ.get("DEFIB_TEST_REQUIRE") == "all":
        pytest.fail(f"{reason} (DEFIB_TEST_REQUIRE=all)", pytrace=False)
    pytest.skip(reason)
