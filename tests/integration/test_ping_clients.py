"""Clients that nobody here wrote, unchanged, in processes of their own, against a real server.

What each sends is told apart by the order of the signals that were kept.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from defib.model.agent import Scope
from defib.model.beat import Beat
from defib.model.health import State
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec
from defib_testkit.requirement import require
from receiver_world import make_world, new_token
from web_world import Site, World

UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
JOB = MonitorId("job")
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = make_world(tmp_path, "defib_plugins.kuma_push_receiver", "defib_plugins.healthchecks_api")
    options = world.plugins.monitors["heartbeat"].options.model_validate({"every": "1d", "uuid": UUID})
    world.monitors.append(
        MonitorSpec(id=JOB, name="Job", kind="heartbeat", family=Family.JOB, options=options)
    )
    return world


@pytest.fixture
async def site(world: World) -> AsyncIterator[Site]:
    async with world.running() as site:
        yield site


async def run(*argv: str | Path, cwd: Path, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    """A client to its end, out of this process and without the proxies of this machine."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return await asyncio.to_thread(
        subprocess.run, [str(part) for part in argv], cwd=cwd, env={**environment, "HOME": str(cwd)},
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


async def run_python(program: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    return await run(sys.executable, "-c", program, cwd=cwd)


def beats(site: Site, monitor: str = JOB) -> list[Beat]:
    """Kept beats, oldest first."""
    return list(reversed(site.engine.reader.beats(MonitorId(monitor))))


def signals(site: Site, monitor: str = JOB) -> list[str]:
    return [str(beat.signal) for beat in beats(site, monitor)]


def ping_url(site: Site) -> str:
    return f"{site.url}/ping/{UUID}"


# --- borgmatic -------------------------------------------------------------------------------------


def borgmatic_config(folder: Path, **hooks: object) -> Path:
    """A backup that cannot work: there is no repository, and mostly no borg either."""
    file = folder / "borgmatic.yaml"
    settings = {
        "source_directories": [str(folder)],
        "repositories": [{"path": str(folder / "nowhere" / "repository"), "label": "nowhere"}],
        "local_path": str(folder / "no-such-borg"),
        **hooks,
    }
    file.write_text(yaml.safe_dump(settings))
    return file


async def run_borgmatic(config: Path) -> subprocess.CompletedProcess[str]:
    program = "from borgmatic.commands.borgmatic import main; main()"
    return await run(
        sys.executable, "-c", program, "--config", config, "--verbosity", "1", "create", cwd=config.parent
    )


async def test_borgmatic_reports_its_start_its_log_and_its_failure(site: Site, tmp_path: Path) -> None:
    config = borgmatic_config(tmp_path, healthchecks={"ping_url": ping_url(site), "send_logs": True})

    ended = await run_borgmatic(config)

    assert ended.returncode == 1, ended.stderr
    assert signals(site)[0] == "start"
    assert set(signals(site)[1:]) == {"log", "fail"}
    assert {beat.facts["user_agent"] for beat in beats(site)} == {"borgmatic"}
    failure = next(beat for beat in beats(site) if beat.signal == "fail")
    assert "no-such-borg" in failure.body
    assert site.health(JOB).state is State.FAULT
    assert "Healthchecks error" not in ended.stdout + ended.stderr


async def test_borgmatic_makes_its_own_monitor_by_slug(site: Site, tmp_path: Path) -> None:
    key = await new_token(site)
    url = f"{site.url}/ping/{key}/offsite-backup"
    config = borgmatic_config(
        tmp_path, healthchecks={"ping_url": url, "create_slug": True, "send_logs": True}
    )

    ended = await run_borgmatic(config)

    assert "Healthchecks error" not in ended.stdout + ended.stderr
    assert signals(site, "offsite-backup")[0] == "start"
    assert set(signals(site, "offsite-backup")[1:]) == {"log", "fail"}
    assert site.health("offsite-backup").state is State.FAULT


async def test_borgmatic_pushes_as_to_uptime_kuma(site: Site, tmp_path: Path) -> None:
    push_url = f"{site.url}/api/push/{UUID.replace('-', '')}"
    config = borgmatic_config(tmp_path, uptime_kuma={"push_url": push_url})

    ended = await run_borgmatic(config)

    assert "Uptime Kuma error" not in ended.stdout + ended.stderr
    assert [(str(beat.signal), beat.body) for beat in beats(site)] == [("alive", "start"), ("fail", "fail")]
    assert site.health(JOB).state is State.FAULT


# --- healthchecks-decorator and healthchecks-wrapper -----------------------------------------------


DECORATED = """
from healthchecks_decorator import healthcheck

@healthcheck(url={url!r}, send_start=True, send_diagnostics=True)
def job():
    {body}

job()
"""


async def test_healthchecks_decorator_reports_start_and_end(site: Site, tmp_path: Path) -> None:
    ended = await run_python(DECORATED.format(url=ping_url(site), body="pass"), cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert signals(site) == ["start", "alive"]
    assert site.health(JOB).state is State.UP


async def test_healthchecks_decorator_reports_a_failure(site: Site, tmp_path: Path) -> None:
    program = DECORATED.format(url=ping_url(site), body="raise ValueError('no space')")

    ended = await run_python(program, cwd=tmp_path)

    assert "no space" in ended.stderr
    assert signals(site) == ["start", "fail"]
    assert site.health(JOB).state is State.FAULT


WRAPPED = """
from healthchecks_wrapper import HealthCheck

with HealthCheck({url!r}):
    {body}
"""


async def test_healthchecks_wrapper_reports_start_and_end(site: Site, tmp_path: Path) -> None:
    ended = await run_python(WRAPPED.format(url=ping_url(site), body="pass"), cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert signals(site) == ["start", "alive"]
    assert site.health(JOB).state is State.UP


async def test_healthchecks_wrapper_posts_its_traceback_as_a_form(site: Site, tmp_path: Path) -> None:
    program = WRAPPED.format(url=ping_url(site), body="raise ValueError('50% & a=b; no + space')")

    await run_python(program, cwd=tmp_path)

    assert signals(site) == ["start", "fail"]
    body = beats(site)[1].body
    assert body.startswith("Traceback (most recent call last):")
    assert body.endswith("ValueError: 50% & a=b; no + space\n")
    assert site.health(JOB).state is State.FAULT


# --- curl and apprise ------------------------------------------------------------------------------


async def test_curl_as_it_stands_in_crontabs(site: Site, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        require("curl", "apt install curl")
    url = ping_url(site)
    options = ["curl", "-fsS", "-m", "10", "--retry", "5", "-o", "/dev/null"]

    for more in (
        [f"{url}/start"], [url], ["--head", url], ["--data-raw", "3 files", f"{url}/log"], [f"{url}/7"], [f"{url}/0"],
    ):  # fmt: skip
        ended = await run(*options, *more, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    missing = await run("curl", "-fsS", url.replace("3fa8", "0000"), cwd=tmp_path)

    assert signals(site) == ["start", "alive", "alive", "log", "fail", "alive"]
    assert [beat.body for beat in beats(site)][3] == "3 files"
    assert [beat.exit_status for beat in beats(site)][4:] == [7, 0]
    assert (missing.returncode, "404" in missing.stderr) == (22, True)


@pytest.mark.parametrize("scheme", ["json", "form", "xml"])
async def test_apprise_posts_a_notice(site: Site, tmp_path: Path, scheme: str) -> None:
    address = ping_url(site).replace("http://", f"{scheme}://")
    program = f"""
from apprise import Apprise
for path, title in (("/start", "begin"), ("/log", "note"), ("/fail", "broken"), ("", "done")):
    notify = Apprise()
    assert notify.add({address!r} + path)
    assert notify.notify(title=title, body="by apprise")
"""

    ended = await run_python(program, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert signals(site) == ["start", "log", "fail", "alive"]
    assert ["begin" in beats(site)[0].body, "by apprise" in beats(site)[3].body or scheme == "form"] == [
        True,
        True,
    ]
    assert site.health(JOB).state is State.UP


# --- healthchecks-io-client ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm client, as the lock file beside its package.json says."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are missing; to get them: apt install nodejs npm")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(DATA / "healthchecks-io-client" / name, folder)
    ended = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    if ended.returncode:
        pytest.skip(f"npm cannot install healthchecks-io-client: {ended.stderr[-300:]}")
    return folder


async def test_healthchecks_io_client_pings(site: Site, node_modules: Path) -> None:
    program = f"""
const {{ HealthChecksPingClient }} = require('healthchecks-io-client');
const client = new HealthChecksPingClient({{ uuid: '{UUID}', baseUrl: '{site.url}/ping' }});
(async () => {{
  await client.start();
  await client.fail('disk full');
  await client.success('3 files');
  await client.success();
}})().catch((error) => {{ console.error(error); process.exit(1); }});
"""

    ended = await run("node", "-e", program, cwd=node_modules)

    assert ended.returncode == 0, ended.stderr
    assert signals(site) == ["start", "fail", "alive", "alive"]
    assert [beat.body for beat in beats(site)] == ["", "disk full", "3 files", ""]
    assert site.health(JOB).state is State.UP


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_healthchecks_io_client_manages_checks(site: Site, node_modules: Path, version: int) -> None:
    key = await new_token(site, "automation", Scope.WRITE)
    program = f"""
const {{ HealthChecksApiClient }} = require('healthchecks-io-client');
const client = new HealthChecksApiClient({{ apiKey: '{key}', baseUrl: '{site.url}', apiVersion: {version} }});
(async () => {{
  const made = await client.createCheck({{ name: 'Sync', tags: 'prod', timeout: 3600, grace: 60 }});
  const uuid = made.ping_url.split('/').pop();
  await fetch(made.ping_url);
  const updated = await client.updateCheck(uuid, {{ name: 'Sync', timeout: 7200 }});
  const got = await client.getCheck(uuid);
  const listed = await client.getChecks(['prod']);
  const pings = await client.listPings(uuid);
  const flips = await client.listFlips(uuid);
  const channels = await client.getIntegrations();
  const paused = await client.pauseCheck(uuid);
  const deleted = await client.deleteCheck(uuid);
  console.log(JSON.stringify([
    updated.timeout, got.status, listed.checks.length, pings.pings.length, flips.length ?? flips.flips.length,
    channels.channels.length, paused.status, deleted.name,
  ]));
}})().catch((error) => {{ console.error(error); process.exit(1); }});
"""

    ended = await run("node", "-e", program, cwd=node_modules)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [7200, "up", 1, 1, 1, 0, "paused", "Sync"]
    assert list(site.engine.jobs) == []
