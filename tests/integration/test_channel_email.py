"""The e-mail channel against a real SMTP server."""

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage, MIMEPart
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import ValidationError

from alert_samples import make_alert, make_context, make_report, tiny_png
from defib.plugin import AlertKind, BuildContext, DeliveryError
from defib_alerts.email_channel import EmailChannel, pause_in
from defib_alerts.email_options import EmailOptions
from defib_testkit.certificate import Certificate, make_certificate
from defib_testkit.ports import free_port
from defib_testkit.smtp_server import Mail, SmtpServer

MakeServer = Callable[..., SmtpServer]


def channel_to(address: str, *, base: Path = Path("/"), **options: Any) -> EmailChannel:
    values = {"smtp": address, "from": "Defib <defib@example.com>", "to": ["ops@example.com"], **options}
    return EmailChannel("ops", EmailOptions.model_validate(values), BuildContext(base=base))


@pytest.fixture
def channel(smtp_server: SmtpServer) -> EmailChannel:
    return channel_to(f"smtp://127.0.0.1:{smtp_server.port}")


def body(mail: Mail, kind: str) -> str:
    part = mail.message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


# --- what arrives ----------------------------------------------------------------------------------


async def test_the_head_of_a_mail_says_what_people_and_programs_need(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    receipt = await channel.send(make_alert(), make_context())

    (mail,) = smtp_server.messages
    head = mail.message
    assert head["Subject"] == "[HIGH] Main Agent is down: connection refused (since 22:14)"
    assert head["From"] == "Defib <defib@example.com>"
    assert head["To"] == "ops@example.com"
    assert head["Date"] == "Sat, 03 Jan 2026 22:15:19 +0800"
    assert head["Auto-Submitted"] == "auto-generated"
    assert head["Importance"] == "high"
    assert (head["X-Defib-Kind"], head["X-Defib-Severity"], head["X-Defib-Monitor"]) == (
        "agent_down",
        "high",
        "main",
    )
    assert receipt.id == head["Message-ID"]
    assert receipt.detail == ""
    assert (mail.sender, mail.recipients) == ("defib@example.com", ("ops@example.com",))


async def test_the_text_part_reads_well(channel: EmailChannel, smtp_server: SmtpServer) -> None:
    await channel.send(make_alert(), make_context())

    (mail,) = smtp_server.messages
    assert body(mail, "plain") == (
        "HIGH: Main Agent is down\n"
        "Sat 3 Jan 2026, 22:15:19 (Asia/Hong_Kong)\n"
        "\n"
        "Main Agent has been failing since 22:14:07 (Asia/Hong_Kong): connection\n"
        "refused by localhost:8000. Its host answers, but nothing listens on the\n"
        "port: the process is gone or still starting. Defib will run: systemctl\n"
        "restart openclaw-main.\n"
        "\n"
        "What to do\n"
        "1. See whether it runs: `systemctl status openclaw-main`\n"
        "2. Read its last words: `journalctl -u openclaw-main -n 50 --no-pager`\n"
        "3. See on its host who listens there: `ss -ltnp 'sport = :8000'`\n"
        "4. Try a restart: `systemctl restart openclaw-main`\n"
        "5. Check the way to it from here:\n"
        "   `curl -v --max-time 10 http://localhost:8000/health`\n"
        "\n"
        "Evidence\n"
        "  22:15:17 refused in 1 ms\n"
        "  22:15:19 refused in 1 ms: 3 of 3 failures in a row\n"
        "\n"
        "Details\n"
        "  Monitor:       Main Agent (main, http)\n"
        "  Target:        http://localhost:8000/health\n"
        "  Since:         Sat 3 Jan 2026, 22:14:07 (Asia/Hong_Kong)\n"
        "  Cause:         refused\n"
        "\n"
        "Open the incident: https://health.example.com/incidents/inc-7\n"
        "Acknowledge: https://health.example.com/incidents/inc-7#steer\n"
        "The monitor's page: https://health.example.com/monitors/main\n"
        "\n"
        "-- \n"
        "Defib, alert a-1, incident inc-7\n"
    )


class Page(HTMLParser):
    """The text of a page, and every address it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "img", "link"):
            self.open.append(tag)
        self.fetched += [
            value or "" for name, value in attrs if name in ("src", "background", "srcset") or tag == "link"
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


async def test_the_html_part_is_whole_small_and_fetches_nothing(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    flood = tuple(f"line {number} <&>" + "x" * 1000 for number in range(100))
    facts = {f"fact_{number}": "y" * 1000 for number in range(100)}
    await channel.send(make_alert(evidence=flood, facts=facts, summary="z" * 5000), make_context())

    (mail,) = smtp_server.messages
    html = body(mail, "html")
    page = Page(html)
    assert len(html.encode()) < 30_000
    assert page.open == []
    assert page.fetched == []
    assert "url(" not in html
    assert "HIGH" in page.text
    assert "systemctl restart openclaw-main" in page.text


async def test_a_mail_is_plain_ascii_with_short_lines_on_the_wire(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    await channel.send(make_alert(monitor_name="Wetter-Agent 天气"), make_context())

    (mail,) = smtp_server.messages
    assert mail.raw.isascii()
    assert max(len(line) for line in mail.raw.splitlines()) <= 998
    assert mail.message["Subject"] == "[HIGH] Wetter-Agent 天气 is down: connection refused (since 22:14)"


async def test_a_name_with_line_ends_cannot_add_headers(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    await channel.send(make_alert(monitor_name="Main\r\nBcc: evil@example.com\r\n"), make_context())

    (mail,) = smtp_server.messages
    assert mail.message["Bcc"] is None
    assert (
        mail.message["Subject"]
        == "[HIGH] Main Bcc: evil@example.com is down: connection refused (since 22:14)"
    )


async def test_the_recovery_threads_under_the_alert(channel: EmailChannel, smtp_server: SmtpServer) -> None:
    down = await channel.send(make_alert(), make_context(key="1"))
    recovered = make_alert(
        event=AlertKind.RECOVERED, healed_by="defib", recovery="recovered by Defib in 6.4 s"
    )
    await channel.send(recovered, make_context(key="2", thread=down.id))

    first, second = (mail.message for mail in smtp_server.messages)
    root = first["References"]
    assert re.fullmatch(r"<defib\.incident\.[0-9a-f]{32}@example\.com>", root)
    assert first["In-Reply-To"] == root
    assert second["In-Reply-To"] == first["Message-ID"]
    assert second["References"].split() == [root, first["Message-ID"]]
    assert second["Subject"] == "[RECOVERED] Main Agent has recovered"
    assert second["Importance"] is None


async def test_the_recovery_finds_its_thread_although_the_first_mail_was_lost(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    await channel.send(make_alert(), make_context(key="1"))
    await channel.send(make_alert(event=AlertKind.RECOVERED), make_context(key="2"))

    first, second = (mail.message for mail in smtp_server.messages)
    assert second["References"] == first["References"]


async def test_one_subject_for_all_mails_of_an_incident_where_that_is_asked_for(
    smtp_server: SmtpServer,
) -> None:
    channel = channel_to(f"smtp://127.0.0.1:{smtp_server.port}", same_subject=True)
    down = await channel.send(make_alert(monitor_name="天气"), make_context(key="1"))
    recovered = make_alert(event=AlertKind.RECOVERED, monitor_name="天气", healed_by="itself")
    again = await channel.send(recovered, make_context(key="2", thread=down.id))
    await channel.send(recovered, make_context(key="3", thread_key="other"))

    first, second, third = (mail.message for mail in smtp_server.messages)
    assert first["Subject"] == "[HIGH] 天气 is down: connection refused (since 22:14)"
    assert second["Subject"] == "Re: [HIGH] 天气 is down: connection refused (since 22:14)"
    assert second["References"].split()[1] == second["In-Reply-To"] == first["Message-ID"]
    assert again.id == second["Message-ID"]
    assert third["Subject"] == "[RECOVERED] 天气 has recovered"


async def test_what_is_quiet_is_not_marked_as_important(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    await channel.send(make_alert(), make_context(is_quiet=True))

    (mail,) = smtp_server.messages
    assert mail.message["Importance"] is None


async def test_every_try_of_one_delivery_is_the_same_mail(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    smtp_server.then("drop")
    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context())
    await channel.send(make_alert(), make_context())

    first, second = (mail.message for mail in smtp_server.messages)
    assert not caught.value.permanent
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


async def test_a_report_has_pictures_inside_and_numbers_attached(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    await channel.send(make_report(), make_context(key="report_20260102", thread_key=""))

    (mail,) = smtp_server.messages
    message = mail.message
    assert structure(message) == (
        "multipart/mixed",
        [
            (
                "multipart/alternative",
                ["text/plain", ("multipart/related", ["text/html", "image/png"])],
            ),
            "application/json",
            "text/csv",
        ],
    )
    picture = next(part for part in message.walk() if part.get_content_type() == "image/png")
    assert picture["Content-ID"] == "<latency>"
    assert picture.get_content_disposition() == "inline"
    assert picture.get_content() == tiny_png()
    attached = {part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()}
    assert attached == {
        "report_20260102.json": b'{"heartbeats": 2880}',
        "report_20260102.csv": b"monitor,availability\r\nmain,0.9998\r\n",
    }
    assert message["Subject"] == "[Defib] Daily report, Fri 2 Jan 2026: 99.98 % well"
    assert message["References"] is None


def structure(part: EmailMessage | MIMEPart) -> Any:
    if not part.is_multipart():
        return part.get_content_type()
    return (part.get_content_type(), [structure(child) for child in part.iter_parts()])


async def test_templates_of_ones_own_take_the_place_of_the_shipped_ones(
    smtp_server: SmtpServer, tmp_path: Path
) -> None:
    (tmp_path / "alert.txt.j2").write_text("{{ alert.title }} & {{ tone.word }}")
    channel = channel_to(f"smtp://127.0.0.1:{smtp_server.port}", base=tmp_path, templates=".")
    (tmp_path / "alert.html.j2").write_text("{{ alert.nothing }}")  # since Defib was started
    receipt = await channel.send(make_alert(), make_context())

    (mail,) = smtp_server.messages
    assert body(mail, "plain").strip() == "Main Agent is down & HIGH"
    assert "What to do" in body(mail, "html")
    assert receipt.detail.startswith("your template alert.html.j2 fails (UndefinedError: ")


# --- encryption and login --------------------------------------------------------------------------


async def test_starttls_is_used_where_offered(make_smtp_server: MakeServer, certificate: Certificate) -> None:
    server = make_smtp_server(starttls=certificate.server_context(), credentials=("defib", "s3cret"))
    channel = channel_to(
        f"smtp://127.0.0.1:{server.port}", ca_file=certificate.cert, username="defib", password="s3cret"
    )
    await channel.send(make_alert(), make_context())

    (mail,) = server.messages
    assert mail.is_encrypted
    assert mail.user == "defib"


async def test_smtps_is_encrypted_from_the_first_byte(
    make_smtp_server: MakeServer, certificate: Certificate
) -> None:
    server = make_smtp_server(tls=certificate.server_context())
    await channel_to(f"smtps://127.0.0.1:{server.port}", ca_file=certificate.cert).send(
        make_alert(), make_context()
    )

    (mail,) = server.messages
    assert mail.is_encrypted


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    make_smtp_server: MakeServer, tmp_path: Path
) -> None:
    trusted, other = make_certificate(tmp_path / "a"), make_certificate(tmp_path / "b")
    for scheme, options in (
        ("smtps", {"tls": other.server_context()}),
        ("smtp", {"starttls": other.server_context()}),
    ):
        server = make_smtp_server(**options)
        channel = channel_to(f"{scheme}://127.0.0.1:{server.port}", ca_file=trusted.cert)

        with pytest.raises(DeliveryError) as caught:
            await channel.send(make_alert(), make_context())

        assert str(caught.value) == (
            f"the certificate of 127.0.0.1:{server.port} is not trusted (self-signed certificate); "
            "name its authority as ca_file, or write the host as the certificate does"
        )
        assert len(server.messages) == 0


@pytest.mark.parametrize("options", [{"starttls": "always"}, {"username": "defib", "password": "s3cret"}])
async def test_nothing_goes_out_in_clear_that_must_not(
    smtp_server: SmtpServer, options: dict[str, Any]
) -> None:
    with pytest.raises(DeliveryError) as caught:
        await channel_to(f"smtp://127.0.0.1:{smtp_server.port}", **options).send(make_alert(), make_context())

    assert caught.value.permanent
    assert str(caught.value) == (
        f"127.0.0.1:{smtp_server.port} offers no encryption (STARTTLS); "
        "use smtps:// or another port; starttls: never sends in clear"
    )
    assert len(smtp_server.messages) == 0


@pytest.mark.parametrize(
    ("code", "said"),
    [(socket.EAI_NONAME, "not found"), (socket.EAI_AGAIN, "cannot be looked up now")],
)
async def test_a_host_that_is_not_found_is_named(
    code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "as the resolver says")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    channel = channel_to("smtp://mail.example.invalid:25")

    with pytest.raises(DeliveryError, match=f"^host mail.example.invalid {said}$"):
        await channel.send(make_alert(), make_context())


async def test_a_wrong_password_is_final_and_not_repeated(
    make_smtp_server: MakeServer, certificate: Certificate
) -> None:
    server = make_smtp_server(tls=certificate.server_context(), credentials=("defib", "right"))
    channel = channel_to(
        f"smtps://127.0.0.1:{server.port}", ca_file=certificate.cert, username="defib", password="wr0ng-one"
    )

    with pytest.raises(
        DeliveryError, match=r"refused the login: 535 .*; check username and password"
    ) as caught:
        await channel.send(make_alert(), make_context())

    assert caught.value.permanent
    assert "wr0ng-one" not in str(caught.value)


# --- refusals and hang-ups -------------------------------------------------------------------------


async def test_greylisting_is_worth_another_try(channel: EmailChannel, smtp_server: SmtpServer) -> None:
    smtp_server.mode = "greylist"

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context())
    await channel.send(make_alert(), make_context())

    assert not caught.value.permanent
    assert str(caught.value) == (
        f"127.0.0.1:{smtp_server.port} refused ops@example.com: 451 4.7.1 Greylisted, try again later"
    )
    assert len(smtp_server.messages) == 1


async def test_an_unknown_mailbox_is_final(channel: EmailChannel, smtp_server: SmtpServer) -> None:
    smtp_server.mode = "refuse"

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context())

    assert caught.value.permanent
    assert (
        str(caught.value)
        == f"127.0.0.1:{smtp_server.port} refused ops@example.com: 550 5.1.1 No such mailbox"
    )


async def test_silence_after_the_message_ends_at_the_timeout(
    channel: EmailChannel, smtp_server: SmtpServer
) -> None:
    smtp_server.mode = "hang-data"

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context(timeout=timedelta(milliseconds=400)))

    assert not caught.value.permanent
    assert str(caught.value) == f"127.0.0.1:{smtp_server.port} did not answer within 400ms"


class Picky:
    """A server that knows some people only, and that may fall silent when thanked."""

    def __init__(self, answers: dict[str, str], *, hangs_at_quit: bool = False) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self._hangs_at_quit = hangs_at_quit
        self.mails: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._hangs_at_quit:
            await asyncio.sleep(60)
        return "221 Bye"


@pytest.fixture
def run() -> Iterator[Callable[[Picky], str]]:
    controllers: list[Any] = []

    def run(handler: Picky) -> str:
        controller = Controller(handler, hostname="127.0.0.1", port=free_port())
        controller.start()
        controllers.append(controller)
        return f"smtp://127.0.0.1:{controller.port}"

    yield run
    for controller in controllers:
        controller.stop()


async def test_who_has_taken_the_mail_is_done_and_the_others_are_tried_alone(
    run: Callable[[Picky], str],
) -> None:
    picky = Picky(
        {"gone@example.com": "550 5.1.1 Gone", "grey@example.com": "451 4.7.1 Try again in 5 minutes"}
    )
    people = ["ops@example.com", "Gone <gone@example.com>", "grey@example.com"]
    address = run(picky)
    channel = channel_to(address, to=people)

    with pytest.raises(DeliveryError) as caught:
        await channel.send(make_alert(), make_context())
    del picky.answers["grey@example.com"]
    receipt = await channel.send(make_alert(), make_context())

    assert str(caught.value) == (
        f"{address.removeprefix('smtp://')} refused grey@example.com: 451 4.7.1 Try again in 5 minutes; "
        "taken for 1 of 3"
    )
    assert not caught.value.permanent
    assert caught.value.retry_after == timedelta(minutes=5)
    assert [mail.rcpt_tos for mail in picky.mails] == [["ops@example.com"], ["grey@example.com"]]
    assert picky.asked.count("gone@example.com") == 1
    assert receipt.detail == "refused for gone@example.com: 550 5.1.1 Gone"


async def test_who_puts_the_mail_off_for_ever_is_given_up_by_name_when_others_have_it(
    run: Callable[[Picky], str],
) -> None:
    picky = Picky({"full@example.com": "452 4.2.2 Mailbox full"})
    channel = channel_to(run(picky), to=["ops@example.com", "full@example.com"])

    for _ in range(20):
        with pytest.raises(DeliveryError):
            await channel.send(make_alert(), make_context())
    receipt = await channel.send(make_alert(), make_context())

    assert receipt.detail == "refused for full@example.com: 452 4.2.2 Mailbox full (given up)"
    assert len(picky.mails) == 1


@pytest.mark.parametrize(
    ("second", "is_permanent", "message"),
    [
        ("550 5.1.1 Gone", True, "a@example.com and 1 more: 550 5.1.1 Gone"),
        ("451 4.7.1 Later", False, "b@example.com: 451 4.7.1 Later"),
    ],
)
async def test_nobody_taken_is_final_only_when_every_refusal_is(
    run: Callable[[Picky], str], second: str, is_permanent: bool, message: str
) -> None:
    address = run(Picky({"a@example.com": "550 5.1.1 Gone", "b@example.com": second}))

    with pytest.raises(DeliveryError) as caught:
        await channel_to(address, to=["a@example.com", "b@example.com"]).send(make_alert(), make_context())

    assert str(caught.value) == f"{address.removeprefix('smtp://')} refused {message}"
    assert caught.value.permanent is is_permanent


@pytest.mark.parametrize(
    ("words", "pause"),
    [
        ("450 4.2.0 Greylisted for 60 seconds", timedelta(seconds=60)),
        ("451 4.7.1 Please come back in 2 min", timedelta(minutes=2)),
        ("451 4.3.2 try again in 90 hours or 99999 minutes", timedelta(minutes=15)),
        ("451 4.7.1 Greylisted, see http://grey.example.com/1s3m", timedelta(seconds=30)),
        ("450 wait 0 s", timedelta(seconds=1)),
    ],
)
def test_the_pause_is_the_one_that_the_server_names(words: str, pause: timedelta) -> None:
    assert pause_in(words) == pause


async def test_a_server_that_hangs_at_goodbye_has_taken_the_mail(run: Callable[[Picky], str]) -> None:
    picky = Picky({}, hangs_at_quit=True)
    receipt = await channel_to(run(picky)).send(
        make_alert(), make_context(timeout=timedelta(milliseconds=800))
    )

    assert len(picky.mails) == 1
    assert receipt.id


async def test_something_that_is_no_mail_server_is_told() -> None:
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak_http, "127.0.0.1", free_port())
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DeliveryError) as caught:
            await channel_to(f"smtp://127.0.0.1:{port}").send(make_alert(), make_context())

    assert not caught.value.permanent
    assert f"127.0.0.1:{port}" in str(caught.value)


# --- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smtp": "mail.example.com"}, "is not a mail server; write smtp://host:587 or smtps://host:465"),
        (
            {"smtp": "http://mail.example.com"},
            "is not a mail server; write smtp://host:587 or smtps://host:465",
        ),
        ({"smtp": "smtp://u:p4ss@mail.example.com"}, "holds a login; write it as username and password"),
        ({"from": "Defib"}, "'Defib' is not an address; write name@example.com or Name <name@example.com>"),
        (
            {"to": ["ops@example.com", "two words@x"]},
            "'two words@x' is not an address; write name@example.com",
        ),
        ({"to": []}, "at least 1 item"),
        ({"username": "defib"}, "username and password belong together; write both or neither"),
        (
            {"smtp": "smtps://mail.example.com", "starttls": "never"},
            "starttls: leave it out, smtps:// is encrypted",
        ),
    ],
)
def test_mistakes_in_the_options_name_their_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        channel_to(options.pop("smtp", "smtp://mail.example.com"), **options)

    assert message in str(caught.value)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize(
    ("smtp", "place"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 25)),
        ("smtp://mail.example.com:587", ("mail.example.com", 587)),
        ("smtps://mail.example.com", ("mail.example.com", 465)),
        ("smtp://[::1]:2525", ("::1", 2525)),
    ],
)
def test_the_port_has_the_schemes_default(smtp: str, place: tuple[str, int]) -> None:
    options = EmailOptions.model_validate({"smtp": smtp, "from": "a@example.com", "to": "b@example.com"})

    assert (options.host, options.port) == place


def test_the_target_names_no_person() -> None:
    assert (
        channel_to("smtp://mail.example.com", to="a@example.com").target == "1 recipient at mail.example.com"
    )
    two = channel_to("smtp://mail.example.com", to=["a@example.com", "b@example.com"])
    assert two.target == "2 recipients at mail.example.com"
