"""What comes from outside, made fit to show."""

import pytest

from defib_plugins.display import clip, first_line, last_line, mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:8000/health", "http://localhost:8000/health"),
        ("https://user:hunter2@example.com/x", "https://example.com/x"),
        ("https://example.com/x?token=hunter2&v=1#hunter2", "https://example.com/x?token=***&v=***"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("http://u:p@[::1]/", "http://[::1]/"),
        ("http://host?key=", "http://host?key=***"),
        ("http://host:hunter2/", "***"),
        ("http://[hunter2/", "***"),
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_a_text_is_clipped_to_one_printable_line() -> None:
    assert clip(" a\nb\x1b[31m\tc ") == "a b [31m c"
    assert clip("x" * 300, 5) == "xxxx…"


def test_the_first_and_the_last_line_that_say_something_are_found() -> None:
    text = "\n \nfirst\nmiddle\nlast\n \n"

    assert (first_line(text), last_line(text)) == ("first", "last")
    assert (first_line(""), last_line(" \n ")) == ("", "")
