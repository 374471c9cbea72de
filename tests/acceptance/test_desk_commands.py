"""``defib ack``, ``silence``, ``maintenance``, ``pause`` and ``resume``, with and without a daemon."""

import json
import subprocess
from collections.abc import Callable

import pytest

from defib_testkit.company import Company
from defib_testkit.ports import free_port
from defib_testkit.webhook_sink import WebhookSink

Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def works(make_company: Callable[..., Company]) -> Company:
    """A company whose agent does not answer, as a pass has left it."""
    company = make_company(mode="off", timeout="1s")
    url = f"http://127.0.0.1:{free_port()}/health"
    company.watch({"id": "main", "type": "http", "url": url, "tags": ["agents"]})
    company.set(maintenance=[{"name": "sunday", "cron": "0 3 * * sun", "duration": "1h", "match": "all"}])
    assert company.run_pass("--all").returncode == 2
    return company


def test_a_running_daemon_is_asked_for_all_of_it(here: Here, works: Company) -> None:
    works.serve()
    works.wait_for("main", "fault")
    for act in (
        test_an_incident_is_acknowledged_by_its_monitor,
        test_a_silence_is_begun_listed_and_ended,
        test_a_maintenance_sets_a_monitor_aside_and_one_of_the_configuration_is_listed,
        test_a_monitor_is_paused_and_resumed,
    ):
        act(here, works)
    assert works.rows("SELECT count(*) FROM incident") == [(1,)], "it was open all the time"


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_silence_is_begun_listed_and_ended(here: Here, works: Company) -> None:
    made = json.loads(
        printed(here(works, "--json", "silence", "--tag", "agents", "--for", "2h", "--reason", "deploy"))
    )
    assert (made["phase"], made["covered"], made["reason"]) == ("active", ["main"], "deploy")
    listed = printed(here(works, "silence", "list"))
    assert made["id"] in listed
    assert "tag agents (main), until" in listed
    ended = printed(here(works, "silence", "end", made["id"]))
    assert ended.startswith(f"{made['id']}: silence of tag agents, ended at ")
    printed(here(works, "silence", "main", "--for", "1h"))
    assert ": silence of main, ended at " in printed(here(works, "silence", "end", "main"))
    assert printed(here(works, "silence", "list")) == "no silence is in force or to come\n"
    assert made["id"] in printed(here(works, "silence", "list", "--over"))
    again = here(works, "silence", "end", made["id"])
    assert (again.returncode, again.stdout) == (2, "")
    acts = works.rows("SELECT event, actor FROM audit WHERE event LIKE 'silence.%' ORDER BY id")
    assert [event for event, _ in acts] == ["silence.begin", "silence.end"] * 2
    assert all(actor.endswith(" (command line)") for _, actor in acts)


def test_a_maintenance_sets_a_monitor_aside_and_one_of_the_configuration_is_listed(
    here: Here, works: Company
) -> None:
    said = printed(here(works, "maintenance", "start", "main", "--for", "1h", "--reason", "kernel"))
    assert ": maintenance of main, until " in said
    assert said.endswith(": kernel\n")
    works.wait_for("main", "maintenance")
    window = said.partition(":")[0]
    listed = json.loads(printed(here(works, "--json", "maintenance", "list")))
    assert [(item["phase"], item["everything"]) for item in listed] == [("active", False), ("planned", True)]
    assert listed[1]["id"].startswith("sunday@")
    printed(here(works, "maintenance", "end", window))
    works.wait_for("main", "fault" if works.daemon else "new")
    printed(here(works, "maintenance", "end", listed[1]["id"]))
    left = json.loads(printed(here(works, "--json", "maintenance", "list")))
    assert listed[1]["id"] not in [item["id"] for item in left], "that Sunday is called off"


def test_an_incident_is_acknowledged_by_its_monitor(here: Here, works: Company) -> None:
    assert printed(here(works, "ack", "main", "--note", "on it")).endswith(
        " sees to main: no more reminders\n"
    )
    assert works.rows("SELECT ack_note FROM incident") == [("on it",)]
    assert "sees to it since " in printed(here(works, "explain", "main"))
    assert printed(here(works, "ack", "main", "--withdraw")).startswith("nobody sees to main any more")
    assert works.rows("SELECT acked_by FROM incident") == [("",)]


def test_a_monitor_is_paused_and_resumed(here: Here, works: Company) -> None:
    said = printed(here(works, "pause", "main", "--reason", "rebuilt"))
    assert ": pause of main, until somebody ends it, by " in said
    assert said.endswith(": rebuilt\n")
    works.wait_for("main", "paused")
    twice = here(works, "pause", "main")
    assert twice.returncode in (1, 2)
    assert "is paused already" in twice.stderr
    assert printed(here(works, "resume", "main")) == "main is looked at again\n"
    works.wait_for("main", "fault" if works.daemon else "new")


def test_dead_letters_are_shown_and_sent_once_more(
    here: Here, works: Company, webhook_sink: WebhookSink
) -> None:
    webhook_sink.status = 410  # gone
    works.channel("hook", type="webhook", url=webhook_sink.url)
    assert printed(here(works, "deliveries")) == "everything that was sent has been delivered\n"
    assert here(works, "test-alert", "--channel", "hook").returncode == 1
    [dead] = json.loads(printed(here(works, "--json", "deliveries", "--dead")))["deliveries"]
    said = printed(here(works, "deliveries"))
    assert said.startswith(f"dead      {dead['id']}  ")
    assert "  hook: Test: this channel works\n" in said
    assert f"          refused for good after 1 try: {dead['error']}\n" in said
    assert "'defib deliveries retry ID'" in said
    again = here(works, "deliveries", "retry", "--channel", "mail")
    assert printed(again) == "there are no dead letters of the channel mail\n"

    webhook_sink.status = 204
    sent = "1 dead letter: on the way again; 'defib deliveries' shows what becomes of it\n"
    assert printed(here(works, "deliveries", "retry", "--all")) == sent
    assert works.rows("SELECT state, tries FROM delivery") == [("delivered", 2)]
    assert printed(here(works, "deliveries")) == "everything that was sent has been delivered\n"
    assert printed(here(works, "deliveries", "--all")).startswith(f"delivered {dead['id']}  ")
    twice = here(works, "deliveries", "retry", dead["id"])
    assert (twice.returncode, "only dead letters can be sent again" in twice.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("deliveries", "retry"), "say which: the ids of dead letters, --channel NAME, or --all"),
        (("deliveries", "--dead", "--all"), "say --dead or --all, not both"),
        (("deliveries", "retry", "send-1"), "there is no delivery 'send-1'"),
        (("silence", "--for", "1h"), "name the monitors, tags or incidents"),
        (("silence", "main"), "say when the silence ends: --for 2h, or --until 22:00"),
        (("silence", "main", "--for", "1h", "--until", "22:00"), "give either --for or --until, not both"),
        (("silence", "nobody", "--for", "1h"), "there is no monitor 'nobody'"),
        (
            ("maintenance", "start", "--tag", "agent", "--for", "1h"),
            "no monitor has the tag 'agent'; did you mean",
        ),
        (("ack", "mian"), "there is no incident or monitor 'mian'; did you mean 'main'?"),
        (("ack", "main", "--withdraw", "--note", "x"), "a note says what is being done"),
        (("silence", "main", "--until", "2020-01-01"), "that is over since 2020-01-01 00:00"),
        (("pause", "nobody"), "there is no monitor 'nobody'"),
        (("ack", "nobody"), "there is no incident or monitor 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    here: Here, company: Company, arguments: tuple[str, ...], says: str
) -> None:
    company.watch({"id": "main", "type": "tcp", "host": "127.0.0.1", "port": free_port(), "tags": ["agents"]})
    company.write()
    refused = here(company, *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"defib: {says}")
    assert refused.stderr.count("\n") == 1
