"""``defib token`` and ``defib agents``, with and without a daemon."""

import json
import subprocess
from collections.abc import Callable

import httpx
import pytest

from defib_testkit.company import Company

Here = Callable[..., subprocess.CompletedProcess[str]]
WORKS = ["alone", "daemon"]


@pytest.fixture(params=WORKS)
def works(request: pytest.FixtureRequest, company: Company) -> Company:
    """A company, with and without a daemon."""
    company.write()
    if request.param == "daemon":
        company.serve()
    return company


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_is_made_listed_rotated_and_revoked(here: Here, works: Company) -> None:
    made = here(works, "token", "create", "--name", "wall", "--scope", "read", "--expires", "90d")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("defib_")

    fresh = json.loads(here(works, "--json", "token", "rotate", "wall", "--overlap", "1h").stdout)
    assert fresh["text"].startswith("defib_")
    assert fresh["text"] != made.stdout.strip()

    listed = here(works, "token", "list").stdout
    assert listed.count("wall") == 2
    assert "good until" in listed
    assert made.stdout.strip() not in listed

    here(works, "token", "create", "--name", "twin", "--scope", "read")
    here(works, "token", "create", "--name", "twin", "--scope", "read")
    both = here(works, "token", "revoke", "twin")
    assert (both.returncode, both.stdout) == (2, "")
    assert both.stderr.startswith("defib: 2 tokens are named 'twin'; say which by its id: ")
    assert here(works, "token", "revoke", "wall").stdout == "token wall is revoked\n"
    tokens = json.loads(here(works, "--json", "token", "list").stdout)
    assert [token["good"] for token in tokens if token["name"] == "wall"] == [False, False]
    actors = works.rows("SELECT DISTINCT actor FROM audit WHERE event LIKE 'token.%'")
    assert len(actors) == 1
    assert str(actors[0][0]).endswith(" (command line)")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "--name", "x", "--scope", "read", "--expires", "0s"), "must be"),
        (("create", "--name", "x", "--scope", "read", "--expires", "soon"), "--expires: "),
        (("create", "--name", " ", "--scope", "read"), "--name: "),
        (("create", "--name", "x", "--scope", "root"), "root"),
        (("revoke", "nobody"), "there is no token 'nobody'"),
        (("rotate", "no/body"), "there is no token 'no/body'"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_in_one_line(
    here: Here, company: Company, arguments: tuple[str, ...], said: str
) -> None:
    company.write()

    refused = here(company, "token", *arguments)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_agent_that_beats_is_listed_and_removed_with_and_without_a_daemon(
    here: Here, company: Company
) -> None:
    company.write()
    token = here(company, "token", "create", "--name", "agents", "--scope", "ingest").stdout.strip()
    company.serve()
    for agent in ("web-1", "web-2"):
        said = {"hostname": agent, "os": "Debian 12", "system_info": {"cpu_usage": 25.5}}
        url = f"http://127.0.0.1:{company.port}/api/v1/agents/{agent}/heartbeat"
        assert httpx.post(url, json=said, headers=bearer(token), trust_env=False).status_code == 200

    listed = here(company, "agents", "list").stdout
    assert [line.split()[:3] for line in listed.splitlines()[1:3]] == [
        ["●", "online", "web-1"],
        ["●", "online", "web-2"],
    ]
    assert "26 %" in listed
    assert here(company, "agents", "keep-out", "web-1").stdout == "agent web-1 is kept out\n"
    assert "kept out" in here(company, "agents", "list").stdout
    assert here(company, "agents", "let-in", "web-1").stdout == "agent web-1 is let in again\n"
    assert here(company, "agents", "remove", "web-1").stdout == "agent web-1 is removed\n"
    assert here(company, "agents", "remove", "web-1").returncode == 2
    company.stop()

    alone = json.loads(here(company, "--json", "agents", "list").stdout)
    assert [agent["id"] for agent in alone] == ["web-2"]
    assert here(company, "agents", "keep-out", "web-2").stdout == "agent web-2 is kept out\n"
    assert here(company, "agents", "remove", "web-2").stdout == "agent web-2 is removed\n"
    missing = here(company, "agents", "remove", "web-2")
    assert missing.stderr == "defib: there is no agent 'web-2'; 'defib agents list' shows them\n"
    assert json.loads(here(company, "--json", "agents", "list").stdout) == []
