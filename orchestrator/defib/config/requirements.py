"""The ids of monitors, and what depends on them."""

from collections.abc import Iterator, Mapping

from defib.config.findings import Findings, remedy
from defib.config.nodes import ListNode, Spot


def written_ids(monitors: Spot | None) -> list[str]:
    """The ids in the file, also of monitors with mistakes."""
    children = monitors.children() if monitors is not None else ()
    places = [place for child in children if (place := child.get("id")) is not None]
    return [place.text for place in places if place.text is not None]


def check(monitors: Spot, findings: Findings) -> None:
    """Each id is used once, each required monitor exists, and none waits for itself, however indirectly."""
    ids = _by_id(monitors, findings)
    needs: dict[str, dict[str, Spot]] = {}
    for name, spot in ids.items():
        needs[name] = {}
        for place in _required(spot):
            if (required := place.text) is None:
                continue
            if required in ids:
                needs[name].setdefault(required, place)
            else:
                findings.mistake(
                    place, f"unknown monitor {required!r}; {remedy(required, ids, plural='ids')}"
                )
    for cycle in cycles({name: tuple(required) for name, required in needs.items()}):
        place = needs[cycle[-1]][cycle[0]]
        if len(cycle) == 1:
            findings.mistake(place, f"monitor {cycle[0]!r} requires itself; remove it here")
        else:
            shown = " → ".join((*cycle, cycle[0]))
            findings.mistake(place, f"the monitors require one another: {shown}; remove one of them")


def cycles(needs: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The cycles of a graph, one for each edge that leads back; without recursion, so chains may be long."""
    finished: set[str] = set()
    for start in needs:
        # The nodes from `start` to here, each with its edges still to follow.
        trail: dict[str, Iterator[str]] = {}
        if start not in finished:
            trail[start] = iter(needs[start])
        while trail:
            name = next(reversed(trail))
            following = next(trail[name], None)
            if following is None:
                del trail[name]
                finished.add(name)
            elif following in trail:
                names = list(trail)
                yield tuple(names[names.index(following) :])
            elif following not in finished:
                trail[following] = iter(needs[following])


def _by_id(monitors: Spot, findings: Findings) -> dict[str, Spot]:
    found: dict[str, Spot] = {}
    for child in monitors.children():
        place = child.get("id")
        if place is None or (name := place.text) is None:
            continue
        if name in found:
            first = found[name].child("id")
            assert first is not None
            findings.mistake(place, f"{name!r} is the id of another monitor already ({first.place})")
        else:
            found[name] = child
    return found


def _required(monitor: Spot) -> Iterator[Spot]:
    for key in ("requires", "requires_any"):
        requires = monitor.get(key)
        if requires is not None:
            yield from requires.children() if isinstance(requires.node, ListNode) else (requires,)
