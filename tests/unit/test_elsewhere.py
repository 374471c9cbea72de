"""Addresses that mean the same on other hosts, and hold nothing that is not for everybody."""

import pytest

from defib_plugins.elsewhere import of_port, of_url


@pytest.mark.parametrize(
    ("host", "port", "found"),
    [
        ("db.lan", 5432, ("tcp", "db.lan:5432")),
        ("10.0.0.7", 22, ("tcp", "10.0.0.7:22")),
        ("2001:db8::7", 22, ("tcp", "[2001:db8::7]:22")),
        ("localhost", 22, None),
        ("localhost.", 22, None),
        ("127.0.0.9", 22, None),
        ("::1", 22, None),
        ("0.0.0.0", 22, None),
        ("/run/postgresql", 5432, None),
        ("", 5432, None),
        ("db.lan", None, None),
    ],
)
def test_a_port(host: str, port: int | None, found: tuple[str, str] | None) -> None:
    assert of_port(host, port) == found


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://shop.test/health", ("http", "https://shop.test/health")),
        ("http://shop.test:8080/", ("http", "http://shop.test:8080/")),
        ("https://shop.test/health?token=s3cr3t", ("tcp", "shop.test:443")),
        ("https://app:s3cr3t@shop.test:8443/", ("tcp", "shop.test:8443")),
        ("http://shop.test/#frag", ("tcp", "shop.test:80")),
        ("http://localhost:8000/health", None),
        ("http://[::1]/", None),
    ],
)
def test_a_web_address(url: str, found: tuple[str, str] | None) -> None:
    assert of_url(url) == found
