"""A user's own templates are tried out at the start."""

from dataclasses import fields
from pathlib import Path

import pytest

from alert_samples import make_alert
from defib.plugin import Alert, AlertFacts, ReportDocument
from defib_alerts.details import Link
from defib_alerts.entries import Entry
from defib_alerts.rendering import SHIPPED, Templates, alert_words, check_folder, report_words
from defib_alerts.samples import sample_alert, sample_report
from defib_alerts.tones import Tone

KNOWN = "alert.html.j2, alert.telegram.html.j2, alert.txt.j2, report.telegram.html.j2"


def complaint(folder: Path) -> str:
    with pytest.raises(ValueError, match="templates: ") as caught:
        check_folder(Path(), folder)
    return str(caught.value).removeprefix("templates: ").replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("alert.txt.j2", "one\n{{ alert.titel }}",
         "alert.txt.j2:2: 'defib.model.alert.Alert object' has no attribute 'titel'; the words that there are stand in "
         "docs/reference/alert-templates.md"),
        ("alert.txt.j2", "one\n\n{{ titel }}",
         "alert.txt.j2:3: 'titel' is undefined; the words that there are stand in docs/reference/alert-templates.md"),
        ("alert.html.j2", "<p>\n{% if alert %}",
         "alert.html.j2:2: Unexpected end of template. Jinja was looking for the "
         "following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'."),
        ("alert.txt.j2", "{{ 1 / 0 }}", "alert.txt.j2:1: ZeroDivisionError: division by zero"),
        ("alert.txt.j2", "\n{{ alert.__class__.__mro__ }}",
         "alert.txt.j2:2: SecurityError: access to attribute '__class__' of 'Alert' object is unsafe."),
        ("alert.txt.j2", "{% include 'foot.j2' %}", "alert.txt.j2:1: TemplateNotFound: foot.j2"),
        ("alert.txt.j2", "{% if facts.together %}\n{{ facts.together[9].name }}{% endif %}",
         "alert.txt.j2:2: tuple object has no element 9; the words that there are stand in "
         "docs/reference/alert-templates.md"),
        ("report.telegram.html.j2", "{{ report.nothing }}",
         "report.telegram.html.j2:1: 'defib.model.report.ReportDocument object' has no attribute 'nothing'; the words "
         "that there are stand in docs/reference/alert-templates.md"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)

    assert complaint(tmp_path) == told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "alert.htm.j2",
            f"no message is made of alert.htm.j2; did you mean alert.html.j2? known are {KNOWN}",
        ),
        ("alert.txt", f"no message is made of alert.txt; did you mean alert.txt.j2? known are {KNOWN}"),
        ("zzzzzzzz.j2", f"no message is made of zzzzzzzz.j2; known are {KNOWN}"),
    ],
)
def test_a_file_that_no_message_is_made_of_is_named(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_text("x")

    assert complaint(tmp_path) == told


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "alert.txt.j2").write_text("{{ nothing }}")
    (tmp_path / "alert.html.j2").write_text("{% if %}")

    assert complaint(tmp_path).count("; the words that there are") == 1
    assert "alert.html.j2:1: Expected an expression" in complaint(tmp_path)


def test_what_is_included_and_what_is_no_template_may_stand_there(tmp_path: Path) -> None:
    (tmp_path / "alert.txt.j2").write_text("{{ alert.title }} {% include 'foot.j2' %}")
    (tmp_path / "foot.j2").write_text("{{ _('Details') }}")
    (tmp_path / "README.md").write_text("ours")

    assert check_folder(tmp_path, Path("/")) == tmp_path
    words = alert_words(make_alert(), language="zh-Hant")
    assert Templates(tmp_path).render("alert.txt.j2", words) == ("Main Agent is down 詳細資料", "")


def test_the_shipped_template_can_be_extended(tmp_path: Path) -> None:
    (tmp_path / "alert.txt.j2").write_text("OURS\n{% include 'shipped/alert.txt.j2' %}")
    check_folder(tmp_path, Path("/"))

    text = Templates(tmp_path).render("alert.txt.j2", alert_words(make_alert())).text
    assert text.startswith("OURS\nHIGH: Main Agent is down\n")


def test_a_template_that_breaks_later_gives_way_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "alert.txt.j2").write_text("{{ alert.nothing }}")

    rendering = Templates(tmp_path).render("alert.txt.j2", alert_words(make_alert()))

    assert rendering.text.startswith("HIGH: Main Agent is down\n")
    assert rendering.complaint == (
        "your template alert.txt.j2 fails (UndefinedError: 'defib.model.alert.Alert object' has no attribute "
        "'nothing'); the shipped one was used"
    )
    assert caplog.messages == [rendering.complaint]


# --- what they may use -------------------------------------------------------------------------------


def test_every_word_of_a_template_is_on_the_reference_page() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/alert-templates.md").read_text(encoding="utf-8")
    alert = sample_alert("digest")
    words = {*alert_words(alert), *report_words(sample_report(), "")}
    parts = {
        field.name for cls in (Alert, AlertFacts, Tone, Entry, Link, ReportDocument) for field in fields(cls)
    }
    names = {path.name for path in SHIPPED.iterdir()}
    known = {"language", "maker", "slo"}  # of reports, for whoever wants them

    assert (
        sorted(name for name in words | parts | names if f"`{name}`" not in page and name not in known) == []
    )
