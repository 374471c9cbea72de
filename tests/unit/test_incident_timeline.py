"""What the page of an incident says of each attempt to repair it."""

from typing import Any

import pytest

from defib.web.timeline import of_incident

BEGAN, ACTED, ENDED = "2026-01-03T14:10:00Z", "2026-01-03T14:10:07Z", "2026-01-03T14:10:12Z"


def story(**attempt: Any) -> dict[str, Any]:
    tried = {"intent_at": ACTED, "ended_at": ENDED, "verified_at": None, "action": "systemctl restart gateway",
             "actor": "auto", "number": 1, "detail": ""}  # fmt: skip
    return {"fault_at": BEGAN, "summary": "connection refused", "transitions": [], "cases": [], "alerts": [],
            "acked_at": None, "closed_at": None, "attempts": [tried | attempt]}  # fmt: skip


@pytest.mark.parametrize(
    ("attempt", "told"),
    [
        ({"outcome": "verified", "verified_at": ENDED},
         [("Defib ran systemctl restart gateway", "attempt 1"), ("It helped", "")]),
        ({"outcome": "failed", "detail": "exit status 1", "actor": "ana"},
         [("ana ran systemctl restart gateway", "attempt 1"), ("It did not help: failed", "exit status 1")]),
        ({"outcome": "running", "ended_at": None}, [("Defib ran systemctl restart gateway", "attempt 1")]),
        ({"outcome": "dry-run", "detail": "would have run: systemctl restart gateway"},
         [("Dry run of systemctl restart gateway", "nothing was done")]),
        ({"outcome": "refused", "detail": "gateway is what Defib runs in"},
         [("Refused to run systemctl restart gateway", "gateway is what Defib runs in")]),
    ],
)  # fmt: skip
def test_what_was_not_run_is_not_said_to_have_been(
    attempt: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    began, *rest = [(item["title"], item["note"]) for item in of_incident(story(**attempt))]

    assert began == ("It began to fail", "connection refused; or shortly before")
    assert rest == told
