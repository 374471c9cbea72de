"""Settings of the standalone agent: where they come from, and what is said of wrong ones."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from defib_agent.cli import parser
from defib_agent.errors import SettingsError
from defib_agent.patience import next_try_s, reconnect_s
from defib_agent.settings import AllowedAction, Settings, load
from defib_agent.window import size, span

HOW_TO = (Path(__file__).parents[2] / "docs" / "how-to" / "agent.md").read_text(encoding="utf-8")


def test_what_nobody_says_is_built_in() -> None:
    assert load(None, {}) == Settings(transport="http")


def test_the_command_line_counts_more_than_the_environment_and_that_more_than_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("agent_id: file\nagent_name: file\npool: file\ninterval: 5s\ntags: [web, london]\n")

    found = load(
        path, {"DEFIB_AGENT_AGENT_ID": "env", "DEFIB_AGENT_POOL": "env", "HOME": "/"}, agent_id="line"
    )

    assert (found.agent_id, found.pool, found.agent_name) == ("line", "env", "file")
    assert (found.interval, found.tags) == (5.0, ("web", "london"))


def test_json_is_read_too_and_words_of_the_protocols_table_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({"protocol": "D", "transport": "ws", "interval": 15, "run_as_service": True}))

    found = load(path, {})

    assert (found.protocol, found.transport, found.interval, found.run_as_service) == (
        "host-agent",
        "websocket",
        15.0,
        True,
    )


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("30s", 30.0), ("500ms", 0.5), ("5m", 300.0), ("1h", 3600.0), (2.5, 2.5), ("7d", 604800.0)],
)
def test_durations_are_seconds_or_have_a_unit(said: Any, seconds: float) -> None:
    assert load(None, {}, interval=said).interval == seconds


def test_an_action_is_a_program_with_its_whole_path() -> None:
    found = load(
        None, {}, transport="both", actions={"restart-web": ["/usr/bin/systemctl", "restart", "web"]}
    )

    assert found.actions == {
        "restart-web": AllowedAction(argv=("/usr/bin/systemctl", "restart", "web"), timeout_s=60.0)
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"interval": "0s"}, "interval: must be a time of more than nothing and at most 7d; write for example 30s"),
        ({"interval": "soon"}, "interval: must be a time of more than nothing and at most 7d; write for example 30s"),
        ({"server_url": "defib.example.com"}, "server_url: must be an address like https://defib.example.com"),
        ({"server_url": "https://me:hunter2@defib.example.com"},
         "server_url: must hold no password; put the token into api_token"),
        ({"protocol": "smoke"}, "protocol: 'smoke' must be one of agent, daemon, host-agent"),
        ({"transport": "unix"}, "transport: 'unix' must be one of http, websocket, both with the protocol agent"),
        ({"protocol": "daemon"}, "socket_path: the transport unix needs it: what 'server.unix_socket' of Defib says"),
        ({"protocol": "daemon", "transport": "http"}, "agent_id: the protocol daemon over http needs one"),
        ({"agent_id": "a/b"}, "agent_id: becomes part of an address and must hold no '/'"),
        ({"buffer_size": 0}, "buffer_size: must be a number from 1 to 100000"),
        ({"auto_start": "maybe"}, "auto_start: must be true or false"),
        ({"second_opinion": True},
         "actions, second_opinion: are asked for over a WebSocket; set 'protocol: agent' and 'transport: both'"),
        ({"actions": {"x": ["reboot"]}}, "actions.x.argv: 'reboot' must be the program's whole path, from / on"),
        ({"actions": {"x": "reboot now"}}, "actions.x: must have 'argv', and may have 'timeout'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_with_what_it_may_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, {}, **given)

    assert str(caught.value) == message


def test_a_setting_that_is_none_is_told_with_its_place_and_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("intervall: 5s\n")

    with pytest.raises(
        SettingsError, match=rf"^{re.escape(str(path))}: intervall: there is no such setting; there are act"
    ):
        load(path, {})


@pytest.mark.parametrize("text", ["{", "- a\n- b\n", "a: b: c", "\x00"])
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(text)

    with pytest.raises(SettingsError, match=rf"^{re.escape(str(path))}: "):
        load(path, {})


def test_the_token_is_in_no_text_about_the_settings() -> None:
    assert "hunter2" not in repr(load(None, {}, api_token="hunter2"))


def test_every_setting_and_every_option_is_described() -> None:
    settings = {field.name for field in dataclasses.fields(Settings)}
    options = {
        text for action in parser()._actions for text in action.option_strings if text.startswith("--")
    }

    assert set(re.findall(r"^\| `([a-z_]+)` \|", HOW_TO, re.MULTILINE)) == settings
    assert [option for option in sorted(options - {"--help"}) if f"`{option}`" not in HOW_TO] == []


# --- how long it waits ---------------------------------------------------------------------------------


def test_tries_come_at_0_2_and_5_seconds_and_then_ever_more_seldom() -> None:
    assert [next_try_s(n, 30, 0.0) for n in range(1, 8)] == [2, 3, 5, 10, 20, 30, 30]
    assert [next_try_s(n, 300, 0.0) for n in (5, 6, 7, 1000)] == [20, 40, 60, 60]


def test_with_a_short_interval_tries_come_at_0_1_and_2_5_seconds() -> None:
    assert [next_try_s(n, 5, 0.0) for n in range(1, 6)] == [1, 1.5, 2.5, 5, 5]


def test_agents_do_not_all_come_at_once() -> None:
    assert next_try_s(6, 30, 0.999) == pytest.approx(21.0, abs=0.1)
    assert [reconnect_s(n, 0.0) for n in (1, 2, 3, 4, 5, 6, 99)] == [1, 2, 4, 8, 16, 30, 30]
    assert reconnect_s(6, 0.999) == pytest.approx(21.0, abs=0.1)


# --- the window's words --------------------------------------------------------------------------------


def test_sizes_and_spans_are_written_for_people() -> None:
    assert [size(value) for value in (0, 999, 1500, 2_500_000, 3e9, 4e12)] == [
        "0 B", "999 B", "1.5 kB", "2.5 MB", "3.0 GB", "4.0 TB",
    ]  # fmt: skip
    assert [span(value) for value in (59, 720, 7260, 273_600)] == ["0 min", "12 min", "2 h 1 min", "3 d 4 h"]
