"""The output of Nagios plugins, with lines as real plugins print them."""

import pytest

from defib_plugins.perfdata import PluginOutput, parse_output, parse_perfdata

HTTP = (
    "HTTP OK: HTTP/1.0 200 OK - 1710 bytes in 0.002 second response time "
    "|time=0.002257s;;;0.000000;10.000000 size=1710B;;;0;\n"
)
DISK = (
    "DISK OK - free space: / 76874MiB (73% inode=96%); /dev/shm 24105MiB (100% inode=99%);"
    "| /=28334620672B;216442024755;243497277849;0;270552530944 /dev/shm=0B;20220739584;22748332032;0;25275924480\n"
)
LOAD = (
    "LOAD OK - total load average: 0.70, 0.80, 0.67"
    "|load1=0.700;1.000;200.000;0; load5=0.800;1.000;200.000;0; load15=0.670;1.000;200.000;0; \n"
)
PING = (
    "PING OK - Packet loss = 0%, RTA = 0.10 ms|rta=0.105000ms;100.000000;200.000000;0.000000 pl=0%;20;60;0;\n"
)


@pytest.mark.parametrize(
    ("stdout", "text", "metrics"),
    [
        (
            HTTP,
            "HTTP OK: HTTP/1.0 200 OK - 1710 bytes in 0.002 second response time",
            {"time": 0.002257, "size": 1710.0},
        ),
        (
            DISK,
            "DISK OK - free space: / 76874MiB (73% inode=96%); /dev/shm 24105MiB (100% inode=99%);",
            {"/": 28334620672.0, "/dev/shm": 0.0},
        ),
        (
            LOAD,
            "LOAD OK - total load average: 0.70, 0.80, 0.67",
            {"load1": 0.7, "load5": 0.8, "load15": 0.67},
        ),
        (
            "PROCS WARNING: 85 processes | procs=85;1:5;1:1000;0; \n",
            "PROCS WARNING: 85 processes",
            {"procs": 85.0},
        ),
        (PING, "PING OK - Packet loss = 0%, RTA = 0.10 ms", {"rta": 0.000105, "pl": 0.0}),
        ("OK", "OK", {}),
        ("", "", {}),
        ("\n\n", "", {}),
    ],
)
def test_one_line_is_taken_apart(stdout: str, text: str, metrics: dict[str, float]) -> None:
    output = parse_output(stdout)

    assert (output.text, output.details) == (text, "")
    assert output.metrics == pytest.approx(metrics)


def test_long_output_and_performance_data_may_both_go_on() -> None:
    stdout = (
        "DISK WARNING - free space: / 3326 MB | /=2643MB;5948;5958;0;5968\n"
        "/ 15272 MB (77%);\n"
        "/boot 68 MB (69%); | /boot=68MB;88;93;0;98\n"
        "/home=69357MB;253404;253409;0;253414\n"
    )

    assert parse_output(stdout) == PluginOutput(
        text="DISK WARNING - free space: / 3326 MB",
        details="/ 15272 MB (77%);\n/boot 68 MB (69%);",
        metrics={"/": 2643e6, "/boot": 68e6, "/home": 69357e6},
    )


def test_the_line_with_the_service_word_is_the_summary() -> None:
    stdout = "connect to address 127.0.0.1 and port 1: Connection refused\nHTTP CRITICAL - Unable to open TCP socket\n"

    output = parse_output(stdout)

    assert output.text == "HTTP CRITICAL - Unable to open TCP socket"
    assert output.details == "connect to address 127.0.0.1 and port 1: Connection refused"


def test_a_plugin_without_service_words_keeps_its_first_line() -> None:
    assert parse_output("all is well\nreally\n") == PluginOutput(
        text="all is well", details="really", metrics={}
    )


@pytest.mark.parametrize(
    ("data", "metrics"),
    [
        ("a=1", {"a": 1.0}),
        ("a=-1.5", {"a": -1.5}),
        ("a=.5 b=2.", {"a": 0.5, "b": 2.0}),
        ("a=1e3", {"a": 1000.0}),
        ("a=0,5s", {"a": 0.5}),
        ("a=U b=1", {"b": 1.0}),
        ("'free space'=12MB;;;0", {"free space": 12e6}),
        ("'it''s'=1", {"it's": 1.0}),
        ("'C:\\ %'=45%;80;90", {"C:\\ %": 45.0}),
        ("a=1ms b=1us c=1s", {"a": 0.001, "b": 1e-6, "c": 1.0}),
        ("a=1KB b=1KiB c=1GB d=1TB", {"a": 1000.0, "b": 1024.0, "c": 1e9, "d": 1e12}),
        ("a=5c b=7req/s", {"a": 5.0, "b": 7.0}),
        ("a=1;2;3;4;5;6;7 b=2", {"a": 1.0, "b": 2.0}),
        ("nonsense a=1 = b= =5 'open=1 c=3", {"a": 1.0, "c": 3.0}),
        ("a=1;b=2", {"a": 1.0}),
        ("", {}),
    ],
)
def test_performance_data_is_read_as_far_as_it_can_be(data: str, metrics: dict[str, float]) -> None:
    assert parse_perfdata(data) == pytest.approx(metrics)


def test_a_flood_of_performance_data_is_cut() -> None:
    assert len(parse_perfdata(" ".join(f"m{number}={number}" for number in range(10_000)))) == 100


def test_a_long_label_is_cut() -> None:
    assert list(parse_perfdata("x" * 5000 + "=1")) == ["x" * 100]
