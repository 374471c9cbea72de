"""The file that ``defib init`` writes: valid, also with every example, and good to read."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import config_kit
from defib import config, discovery
from defib.discovery import document, writing
from defib.discovery.finders import find
from defib.discovery.seen import Answer, Container, Listener, Seen, Unit
from defib.discovery.surroundings import timezone
from defib.model.monitor import RecoveryMode
from defib.model.settings import Settings

SECRETS = {"TELEGRAM_TOKEN": "123456:ABC-DEF1234ghIkl", "SMTP_PASSWORD": "x", "HOOK_SECRET": "x"}
LONG = "a-container-with-quite-a-long-name-as-generated-by-a-tool-that-does-not-care-about-people"
FULL = Seen(
    listeners=(
        Listener(port=22, process="sshd", unit="ssh.service"),
        Listener(port=5432, process="postgres"),
        Listener(port=6379, host="::1", process="redis-server"),
        Listener(port=8000, process="python3", unit="openclaw-main.service"),
        Listener(port=8001, process="python3"),
        Listener(port=8080, process="docker-proxy"),
        Listener(port=8081, process="docker-proxy"),
        Listener(port=9090, process="prometheus"),
    ),
    answers={
        8000: Answer(status=200, path="/health"),
        8001: Answer(status=503),
        8080: Answer(status=404, path="/"),
        8081: Answer(status=200, path="/health"),
        9090: Answer(status=404),
    },
    postgres_sockets=(Path("/var/run/postgresql/.s.PGSQL.5433"),),
    containers=(
        Container(id="a1", name="gateway", image="openclaw/gateway:2.1", ports={8080: 80}),
        Container(id="b2", name=LONG, ports={8081: 80}),
    ),
    docker_host="unix:///run/user/1000/docker.sock",
    units=(
        Unit(name="backup@x2dhome.service", is_failed=True),
        Unit(name="docker.service"),
        Unit(name="openclaw-main.service", is_local=True),
        Unit(name="ssh.service"),
    ),
    notes=("Docker was not looked at: it does not answer.",),
)


def rendered(seen: Seen, zone: str = "Asia/Hong_Kong") -> str:
    return document.render(find(seen), zone, Path("/usr/local/share/defib/recovery_scripts"))


def uncommented(text: str) -> str:
    """With every example switched on, as the head of the file says: the '#' right before a key is removed."""
    return re.sub(r"(?m)^( *)#(?! \S|$)", r"\1", text)


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "defib.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, config_kit.real_registry(), environ or {})


@pytest.mark.parametrize("seen", [Seen(), FULL], ids=["bare", "full"])
def test_what_is_written_loads(seen: Seen, tmp_path: Path) -> None:
    settings = loaded(tmp_path, rendered(seen))

    assert [str(monitor.id) for monitor in settings.monitors] == [item.id for item in find(seen).findings]
    assert settings.recovery_mode is RecoveryMode.DRY_RUN
    assert {monitor.recovery.mode for monitor in settings.monitors} == {RecoveryMode.DRY_RUN}
    assert settings.timezone == "Asia/Hong_Kong"
    assert settings.channels == ()


@pytest.mark.parametrize("seen", [Seen(), FULL], ids=["bare", "full"])
def test_it_loads_with_every_example_switched_on(seen: Seen, tmp_path: Path) -> None:
    settings = loaded(tmp_path, uncommented(rendered(seen)), SECRETS)

    assert [channel.name for channel in settings.channels] == ["ops-chat", "ops-mail", "hook"]
    assert [report.kind for report in settings.reports] == ["daily"]
    assert len(settings.routes) == 2
    assert "nightly-backup" in {monitor.id for monitor in settings.monitors}
    assert settings.server.public_url == "https://health.example.com"


def test_the_guess_for_an_agent_becomes_its_ladder_when_it_is_switched_on(tmp_path: Path) -> None:
    text = rendered(FULL)
    before = {str(item.id): item for item in loaded(tmp_path, text).monitors}
    after = {str(item.id): item for item in loaded(tmp_path, uncommented(text), SECRETS).monitors}

    assert (len(before["chat"].recovery.ladder), len(after["chat"].recovery.ladder)) == (0, 1)


@pytest.mark.parametrize("seen", [Seen(), FULL], ids=["bare", "full"])
def test_no_line_is_longer_than_a_screen_is_wide_or_ends_in_a_blank(seen: Seen) -> None:
    lines = rendered(seen).splitlines()

    assert [line for line in lines if len(line) > 100 and LONG not in line] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_an_agent_reads_like_written_by_hand() -> None:
    assert """\
  # Listens on port 8000 (python3) and answered when Defib looked.
  - id: main
    name: Main Agent
    type: http
    url: http://127.0.0.1:8000/health
    expect: {status: 200, within: 2s}
    tags: [agents]
    requires: [openclaw-main]
    recovery:
      - systemd: {unit: openclaw-main, action: restart}
""" in rendered(FULL)


def test_names_from_outside_cannot_leave_their_comment(tmp_path: Path) -> None:
    evil = "x\nstore: sqlite:////etc/passwd\r\u2028\u0085\x1b[31m ${file:/etc/shadow}\udcff"
    seen = Seen(
        listeners=(Listener(port=9000, process=evil),),
        answers={9000: Answer(status=200, path="/health")},
        containers=(Container(id="a1", name="web", image=evil),),
        notes=(evil,),
    )

    text = rendered(seen)

    assert loaded(tmp_path, text).store == f"sqlite:///{tmp_path}/defib.db"
    assert "\x1b" not in text
    assert all(line.lstrip().startswith("#") for line in text.splitlines() if "etc/passwd" in line)


def test_without_looking_there_is_this_machine() -> None:
    text = discovery.render(discovery.bare(), {"TZ": ":Europe/Berlin"})

    assert "timezone: Europe/Berlin\n" in text
    assert [item["id"] for item in yaml.safe_load(text)["monitors"]] == ["this-host"]


def test_the_scripts_folder_is_an_example_where_there_is_none() -> None:
    text = document.render(find(Seen()), "UTC", None)

    assert "\n  #recovery_scripts: /usr/local/share/defib/recovery_scripts\n" in text


def test_what_was_found_is_told_in_columns() -> None:
    seen = Seen(listeners=(Listener(port=8000),), notes=("Docker was not looked at.",))

    assert discovery.summary(find(seen)) == [
        "Found on this machine:",
        "  this-host  host  processor, memory, disks",
        "  main       http  http://127.0.0.1:8000/health",
        "Docker was not looked at.",
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_stays_text(text: str) -> None:
    assert yaml.safe_load(writing.flow({"key": [text]})) == {"key": [text]}


@pytest.mark.parametrize(
    ("environ", "link", "expected"),
    [
        ({"TZ": "Asia/Hong_Kong"}, "/usr/share/zoneinfo/Europe/Berlin", "Asia/Hong_Kong"),
        ({}, "/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ({}, "../usr/share/zoneinfo/Etc/UTC", "UTC"),
        ({"TZ": "HKT-8"}, "/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ({"TZ": "../../etc/passwd"}, "/nowhere", "UTC"),
        ({}, None, "UTC"),
    ],
)
def test_the_time_zone_is_the_machines(
    environ: dict[str, str], link: str | None, expected: str, tmp_path: Path
) -> None:
    localtime = tmp_path / "localtime"
    if link is not None:
        localtime.symlink_to(link)

    assert timezone(environ, localtime) == expected
