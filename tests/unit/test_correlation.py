"""Is it me or them: paths, the trigger, the canaries' truth table and what follows from it."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib.model.evidence import Evidence, Outcome
from defib.model.ids import MonitorId
from defib.rules.correlation import (
    Effect,
    Look,
    PathClass,
    Readings,
    Verdict,
    diagnose,
    effect,
    excuse,
    fate_group,
    find_trigger,
    is_deaf,
    is_named,
    is_network_missing,
    path_class,
)

LOCAL, LAN, WAN = PathClass
OWN = (ipaddress.ip_interface("192.0.2.7/24"), ipaddress.ip_interface("2001:db8::7/64"))

# --- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("", LOCAL),
        ("/var/run/docker.sock", LOCAL),
        ("@abstract", LOCAL),
        ("localhost", LOCAL),
        ("LocalHost.", LOCAL),
        ("db.localhost", LOCAL),
        ("127.0.0.1", LOCAL),
        ("127.8.9.10", LOCAL),
        ("::1", LOCAL),
        ("[::1]", LOCAL),
        ("0.0.0.0", LOCAL),
        ("::ffff:127.0.0.1", LOCAL),
        ("192.0.2.7", LOCAL),
        ("2001:db8::7", LOCAL),
        ("192.0.2.8", LAN),
        ("::ffff:192.0.2.8", LAN),
        ("2001:db8::8", LAN),
        ("169.254.1.1", LAN),
        ("fe80::1%eth0", LAN),
        ("printer.local", LAN),
        ("192.0.3.8", WAN),
        ("2001:db9::1", WAN),
        ("example.com", WAN),
    ],
)
def test_the_path_of_a_host(host: str, path: PathClass) -> None:
    assert path_class(host, OWN) is path


def test_a_resolved_name_has_the_path_of_its_nearest_address() -> None:
    assert path_class("db", OWN, ["192.0.2.9"]) is LAN
    assert path_class("db", OWN, ["2001:db9::1", "192.0.2.7"]) is LOCAL
    assert path_class("db", OWN, ["203.0.113.1", "192.0.2.9"]) is LAN


@pytest.mark.parametrize(
    ("host", "named"),
    [("example.com", True), ("192.0.2.1", False), ("[::1]", False), ("", False), ("/run/x.sock", False)],
)
def test_only_names_need_a_resolver(host: str, named: bool) -> None:
    assert is_named(host) is named


def test_monitors_of_one_host_share_its_fate_unless_that_host_is_us() -> None:
    a, b = MonitorId("a"), MonitorId("b")
    assert fate_group(a, "192.0.2.9", LAN) == fate_group(b, "192.0.2.9", LAN)
    assert fate_group(a, "127.0.0.1", LOCAL) != fate_group(b, "127.0.0.1", LOCAL)


# --- the trigger -----------------------------------------------------------------------------------

NOW = 1000.0


def looks(*, ok: int, bad: int, age: float = 1.0, path: PathClass = WAN, hosts: int = 99) -> list[Look]:
    return [
        Look(
            monitor=MonitorId(f"m{n}"),
            group=f"host {n % hosts}",
            path=path,
            at=NOW - age,
            is_ok=n >= bad,
        )
        for n in range(bad + ok)
    ]


@pytest.mark.parametrize(
    ("seen", "silent_for", "together"),
    [
        (looks(bad=0, ok=20), 0.0, None),
        (looks(bad=2, ok=0), 0.0, None),
        (looks(bad=3, ok=3), 0.0, True),
        (looks(bad=3, ok=4), 0.0, None),
        (looks(bad=10, ok=10), 0.0, True),
        (looks(bad=10, ok=0, hosts=2), 0.0, None),
        (looks(bad=10, ok=0, hosts=3), 0.0, True),
        (looks(bad=3, ok=0, age=10.0), 0.0, True),
        (looks(bad=3, ok=0, age=10.1), 0.0, None),
        (looks(bad=3, ok=0, path=LAN), 0.0, None),
        (looks(bad=1, ok=0), 59.9, None),
        (looks(bad=1, ok=0), 60.0, False),
        (looks(bad=0, ok=0), 600.0, None),
        (looks(bad=1, ok=0, age=10.1), 600.0, None),
        (looks(bad=3, ok=0), 600.0, True),
    ],
)
def test_when_failures_are_a_reason_to_look_at_ourselves(
    seen: list[Look], silent_for: float, together: bool | None
) -> None:
    trigger = find_trigger(seen, WAN, NOW - silent_for, NOW)
    assert (trigger and trigger.is_together) is together


@pytest.mark.parametrize(
    ("evidence", "missing", "deaf"),
    [
        (Evidence.inconclusive("no-route", "this machine has no route there"), True, False),
        (Evidence.inconclusive("dns-unavailable", "this machine's resolver gives no answer"), True, False),
        (Evidence.inconclusive("no-descriptors", "no file descriptor is left"), False, True),
        (Evidence.inconclusive("no-memory", "no memory is left"), False, True),
        (Evidence.inconclusive("not-permitted", "a firewall of this machine forbids it"), False, False),
        (Evidence.fail("unreachable", "no host answers"), False, False),
        (Evidence.fail("no-route", "as another machine says"), False, False),
        (Evidence.fail("no-memory", "as the target says"), False, False),
    ],
)
def test_a_look_that_could_not_be_made_speaks_against_our_network_or_against_us(
    evidence: Evidence, missing: bool, deaf: bool
) -> None:
    assert (is_network_missing(evidence), is_deaf(evidence)) == (missing, deaf)


def test_twenty_monitors_polled_each_half_minute_trigger_before_their_first_fault() -> None:
    """The network fails at 0; one monitor is looked at each 1.5 s, and its fault would be declared 3 s later."""
    before = [
        Look(monitor=MonitorId(f"m{n}"), group=f"host {n}", path=WAN, at=1.5 * n - 30, is_ok=True)
        for n in range(20)
    ]
    at = 0.0
    while True:
        number = int(at / 1.5)
        before[number] = Look(
            monitor=MonitorId(f"m{number}"), group=f"host {number}", path=WAN, at=at, is_ok=False
        )
        if find_trigger(before, WAN, -1.5, at) is not None:
            break
        at += 1.5
    assert (
        at == 4.5
    )  # three others are still well in the window; of all twenty, half would have failed at 13.5


def test_a_second_failure_triggers_when_nothing_else_has_succeeded_since_the_first() -> None:
    """Few targets never fail by threes: this comes a second after the first failure, two before its fault."""
    [look] = [Look(monitor=MonitorId("m"), group="host m", path=WAN, at=NOW, is_ok=False)]

    trigger = find_trigger([look], WAN, NOW - 20, NOW, NOW - 1)

    assert trigger is not None
    assert not trigger.is_together
    assert trigger.reason == "no wan monitor has succeeded since one began to fail 1 s ago"
    assert find_trigger([look], WAN, NOW - 20, NOW) is None  # its first failure
    assert find_trigger([look], WAN, NOW - 0.5, NOW, NOW - 1) is None  # another one was reached meanwhile


def test_a_second_failure_on_this_machine_is_its_own() -> None:
    look = Look(monitor=MonitorId("m"), group="monitor m", path=LOCAL, at=NOW, is_ok=False)

    assert find_trigger([look], LOCAL, NOW - 20, NOW, NOW - 1) is None


def test_the_reason_is_in_words() -> None:
    trigger = find_trigger(looks(bad=4, ok=2), WAN, NOW, NOW)
    assert trigger is not None
    assert trigger.reason == "4 of 6 wan monitors looked at within 10 s fail, in 4 independent places"
    trigger = find_trigger(looks(bad=1, ok=0), WAN, NOW - 75, NOW)
    assert trigger is not None
    assert trigger.reason == "no wan monitor has succeeded for 75 s"


# --- the verdict -----------------------------------------------------------------------------------

SICK, NETWORK, UPLINK = Verdict.SICK, Verdict.NETWORK_DOWN, Verdict.UPLINK_DOWN
RESOLVER, MUTE, CLEAR, MASS = Verdict.RESOLVER_DOWN, Verdict.GATEWAY_MUTE, Verdict.CLEAR, Verdict.MASS_FAILURE


def readings(cells: str) -> Readings:
    """C1 to C5 as ``+``, ``x`` and ``?`` (cannot be told)."""
    return Readings(
        **dict(
            zip(
                ("own", "gateway", "resolver", "anchors", "carrier"),
                ({"+": True, "x": False, "?": None}[cell] for cell in cells),
                strict=True,
            )
        )
    )


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        # we are sick: whatever the others show
        ("x????", SICK),
        ("x++++", SICK),
        ("xxxxx", SICK),
        # our network is down
        ("+xxx+", NETWORK),
        ("+xxx?", NETWORK),
        ("?xxx?", NETWORK),
        ("+xx?+", NETWORK),
        ("+x?x+", NETWORK),
        ("+x???", NETWORK),
        ("+???x", NETWORK),
        ("++?xx", NETWORK),
        # our uplink is down
        ("+++x+", UPLINK),
        ("++xx+", UPLINK),
        ("++?x+", UPLINK),
        ("+?xx+", UPLINK),
        ("+??x?", UPLINK),
        ("+x+x+", UPLINK),
        # the resolver is down
        ("++x++", RESOLVER),
        ("++x?+", RESOLVER),
        ("+?x??", RESOLVER),
        ("+xx++", RESOLVER),
        # the gateway ignores probes
        ("+x+++", MUTE),
        ("+x+?+", MUTE),
        ("+x?++", MUTE),
        ("+x++x", MUTE),
        # nothing speaks against us
        ("+++++", CLEAR),
        ("+++?+", CLEAR),
        ("+????", CLEAR),
        ("?????", CLEAR),
        ("+?+?x", CLEAR),
    ],
)
def test_the_truth_table(cells: str, verdict: Verdict) -> None:
    assert diagnose(readings(cells)) is verdict


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ("+++++", MASS),
        ("?????", MASS),
        ("+x+++", MASS),
        ("x????", SICK),
        ("+xxx+", NETWORK),
        ("++x++", RESOLVER),
    ],
)
def test_only_failures_that_come_together_while_we_are_well_are_a_mass_failure(
    cells: str, verdict: Verdict
) -> None:
    assert diagnose(readings(cells), is_together=True) is verdict


@pytest.mark.parametrize("cells", ["".join(cells) for cells in itertools.product("+?", repeat=5)])
def test_without_a_dead_canary_nobody_here_is_accused(cells: str) -> None:
    assert diagnose(readings(cells)) is CLEAR


@given(st.text("+x?", min_size=5, max_size=5))
def test_a_network_verdict_names_a_canary_that_is_dead(cells: str) -> None:
    seen = readings(cells)
    match diagnose(seen):
        case Verdict.SICK:
            assert seen.own is False
        case Verdict.NETWORK_DOWN:
            assert False in (seen.gateway, seen.carrier)
            assert True not in (seen.resolver, seen.anchors)
        case Verdict.UPLINK_DOWN:
            assert seen.anchors is False
        case Verdict.RESOLVER_DOWN:
            assert seen.resolver is False
        case Verdict.GATEWAY_MUTE:
            assert seen.gateway is False
            assert True in (seen.resolver, seen.anchors)


# --- what follows ----------------------------------------------------------------------------------

REAL, VOID, UP, DNS = Effect


@pytest.mark.parametrize(
    ("verdict", "effects"),
    # local, lan by address, lan by name, wan by address, wan by name
    [
        (SICK, (VOID, VOID, VOID, VOID, VOID)),
        (NETWORK, (REAL, VOID, VOID, VOID, VOID)),
        (UPLINK, (REAL, REAL, REAL, UP, UP)),
        (RESOLVER, (REAL, REAL, DNS, REAL, DNS)),
        (MUTE, (REAL, REAL, REAL, REAL, REAL)),
        (CLEAR, (REAL, REAL, REAL, REAL, REAL)),
        (MASS, (REAL, REAL, REAL, REAL, REAL)),
    ],
)
def test_what_a_verdict_makes_of_a_failure(verdict: Verdict, effects: tuple[Effect, ...]) -> None:
    cases = ((LOCAL, False), (LAN, False), (LAN, True), (WAN, False), (WAN, True))
    assert tuple(effect(verdict, path, is_named=named) for path, named in cases) == effects


@pytest.mark.parametrize("verdict", Verdict)
def test_a_network_problem_never_excuses_what_is_on_this_machine(verdict: Verdict) -> None:
    for named in (False, True):
        assert effect(verdict, LOCAL, is_named=named) is (VOID if verdict is SICK else REAL)


@pytest.mark.parametrize("verdict", Verdict)
def test_a_target_that_was_reached_since_outweighs_the_canaries_of_the_network(verdict: Verdict) -> None:
    seen = effect(verdict, WAN, is_named=True, is_contradicted=True)
    assert seen is (VOID if verdict is SICK else REAL)


def test_an_excused_failure_says_why_and_what_it_looked_like() -> None:
    excused = excuse(Evidence.fail("timeout", "no answer within 5 s"), NETWORK)
    assert (excused.outcome, excused.cause) == (Outcome.INCONCLUSIVE, "observer-network-down")
    assert excused.summary == "Defib lost its network; it looked like: no answer within 5 s"
    assert excuse(Evidence.ok("fine"), NETWORK) == Evidence.ok("fine")


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_its_words(verdict: Verdict) -> None:
    assert verdict.words
