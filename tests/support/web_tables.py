"""What pages say of numbers: tables that the server's words and the browser's are both held against."""

SPANS: list[tuple[float, str]] = [
    (-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"),
    (7500, "2 h 5 min"), (86399, "23 h 59 min"), (86400, "1 d 0 h"), (273600, "3 d 4 h"), (34560000, "400 d 0 h"),
]  # fmt: skip

AGO: list[tuple[float, str]] = [
    (-3, "just now"), (9.9, "just now"), (10, "10 s ago"), (59, "50 s ago"), (61, "1 min ago"),
    (4000, "1 h 6 min ago"),
]  # fmt: skip

AHEAD: list[tuple[float, str]] = [
    (0, "in 0 s"),
    (20.7, "in 20 s"),
    (3600, "in 1 h 0 min"),
    (-75, "1 min late"),
]

LATENCIES: list[tuple[float | None, str]] = [
    (None, "–"), (0, "0.0 ms"), (0.25, "0.3 ms"), (0.949, "0.9 ms"), (0.95, "1 ms"), (2.5, "3 ms"), (12.4, "12 ms"),
    (999.4, "999 ms"), (999.5, "1.00 s"), (1235, "1.24 s"), (61000, "61.00 s"),
]  # fmt: skip

DELIVERIES: list[tuple[list[dict[str, object]], str]] = [
    ([], ""),
    ([{"channel": "ops", "state": "delivered", "tries": 1}], ""),
    ([{"channel": "ops", "state": "pending", "tries": 0}], ""),
    ([{"channel": "ops", "state": "pending", "tries": 2}], " · ops does not take it yet"),
    (
        [
            {"channel": "a", "state": "dead", "tries": 9},
            {"channel": "b", "state": "dead", "tries": 9},
            {"channel": "c", "state": "pending", "tries": 1},
        ],
        " · not delivered through a, b · c does not take it yet",
    ),
]

LINES: list[tuple[list[float], str]] = [
    ([], ""),
    ([5], ""),
    ([0, 0], "0,23 100,23"),
    ([10, 20, 5], "0,12 50,1 100,17.5"),
    ([1, 1, 1, 1], "0,1 33.3,1 66.7,1 100,1"),
]

DAYS: list[tuple[list[str], str]] = [
    (["none"] * 24, "Last 24 hours: nothing seen"),
    (["none"] * 20 + ["ok"] * 4, "Last 24 hours: all well"),
    (["ok", "bad", "ok"], "Last 24 hours: 1 hour bad"),
    (["bad", "bad", "some"], "Last 24 hours: 2 hours bad, 1 with failures"),
    (["ok", "some"], "Last 24 hours: 1 with failures"),
]

HEARD: list[tuple[float, str]] = [
    (-2, "0 s ago"),
    (3.9, "3 s ago"),
    (61, "1 min ago"),
    (90000, "1 d 1 h ago"),
]

LOADS: list[tuple[float | None, str]] = [
    (None, "–"), (0, "0 %"), (0.04, "0 %"), (7.46, "7.5 %"), (10, "10 %"), (69.5, "70 %"), (99.4, "99 %"),
    (100, "100 %"),
]  # fmt: skip

LEVELS: list[tuple[float | None, str]] = [
    (None, "none"), (0, "ok"), (70, "ok"), (70.1, "warn"), (90, "warn"), (90.1, "bad"), (100, "bad"),
]  # fmt: skip

SIZES: list[tuple[float | None, str]] = [
    (None, "–"), (0, "0 B"), (999.4, "999 B"), (999.5, "1 kB"), (1500, "1.5 kB"), (99_900, "99.9 kB"),
    (99_960, "100 kB"), (16_777_216_000, "16.8 GB"), (2e18, "2000 PB"), (-5, "0 B"),
]  # fmt: skip

HOURS: list[tuple[list[float | None], str]] = [
    ([], ""),
    ([None, None], ""),
    ([50], "M0,12h0"),
    ([0, 50, 100], "M0,23L50,12L100,1"),
    ([None, 10, None, 20, 20.5], "M25,20.8h0M75,18.6L100,18.5"),
    ([250, 0], "M0,1L100,23"),
]

TRENDS: list[tuple[list[float | None], str]] = [
    ([], "Last hour: nothing reported"),
    ([None], "Last hour: nothing reported"),
    ([10, None, 90.4, 30.5], "Last hour: 10 to 90 %, now 31 %"),
]
