"""How well faults are healed in reality, and what survives the death of Defib in the middle of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from defib.model.strategy import Strategy
from defib_real import crashes, dramas, recoveries
from defib_real.profiles import ACCELERATED
from defib_real.recoveries import Story
from defib_sim.counting import Share, percentile, share
from defib_sim.plugin import load_plugins
from defib_testkit import processes
from defib_testkit.docker_engine import DockerEngine
from defib_testkit.postgres_cluster import PostgresCluster, PostgresTemplate

SEED = 20260105
WAVES, EACH = 5, 20  #: of each of scenarios 1 to 3: 100 episodes
NORMAL_EACH = 20  #: the same, under the preset as users have it
MOMENTS = 200  #: at which Defib is killed
LATE_S = 3.0  #: that a verification may take once its target is ready
PAGE_S = 180.0  #: until a person is called for what Defib cannot heal

_FIXABLE = ("crash", "hang", "500s", "container killed", "database killed", "slow boot", "group")
_LEFT_ALONE = ("pause", "deploy", "container deployed", "behind the database", "host", "on the host")
_PAGES = ("recovery_failed", "recovery_late", "recovery_blocked")

Stories = Mapping[str, list[Story]]


def measure(bench: Bench) -> Iterator[Figure]:
    """Scenarios 1 to 3, 8, 9 and 13 to 20 of the detection design's section 7.2."""
    processes.adopt_orphans()
    with ExitStack() as stack:
        docker = stack.enter_context(closing(DockerEngine()))
        template = stack.enter_context(closing(PostgresTemplate()))
        postgres = stack.enter_context(closing(PostgresCluster(template)))
        postgres.start()
        yield from _accelerated(bench, docker, postgres)
        if not bench.is_quick:
            yield from _as_users_have_it(bench, docker, postgres)
    yield from _killed(bench)


def _accelerated(bench: Bench, docker: DockerEngine, postgres: PostgresCluster) -> Iterator[Figure]:
    waves: list[Stories] = []
    errors: list[str] = []
    for wave in range(1 if bench.is_quick else WAVES):
        cast = recoveries.Cast(_new(bench.folder / f"wave-{wave}"))
        dramas.hard(cast, EACH, boot_s=1.0)
        dramas.pauses(cast, 2.0, 4.0, 8.0)
        dramas.deploys(cast, 4.0, 6.0)
        dramas.containers(cast, docker, deploy_s=20.0)
        dramas.database(cast, postgres)
        dramas.unfixable(cast, 2, start_timeout="4s")
        dramas.relapsing(cast, well_for_s=1.5)
        dramas.slow_boots(cast, 20.0)
        dramas.group(cast, 5, boot_s=0.5)
        dramas.host(cast, 10, lasts_s=12.0)
        played, logged = recoveries.play(cast, ACCELERATED, seed=SEED + wave, over_s=25.0, patience_s=60.0)
        docker.clean()
        waves.append(played)
        errors.extend(logged)
    yield from _judged(ACCELERATED, _merged(waves), errors)


def _as_users_have_it(bench: Bench, docker: DockerEngine, postgres: PostgresCluster) -> Iterator[Figure]:
    """The preset ``normal`` and the defaults of every policy, but for a probation that need not be waited for."""
    strategy = load_plugins().strategies.items["normal"]
    cast = recoveries.Cast(_new(bench.folder / "normal"))
    dramas.hard(cast, NORMAL_EACH, boot_s=4.0)
    dramas.pauses(cast, 2.0, 4.0, 8.0, 8.0, 15.0)
    dramas.deploys(cast, 6.0, 6.0, 6.0)
    dramas.containers(cast, docker, deploy_s=20.0)
    dramas.database(cast, postgres)
    dramas.unfixable(cast, 2)
    dramas.slow_boots(cast, 40.0, 80.0)
    dramas.group(cast, 5, boot_s=2.0)
    dramas.host(cast, 10, lasts_s=60.0)
    played, errors = recoveries.play(cast, strategy, seed=SEED, over_s=60.0, patience_s=240.0)
    docker.clean()
    yield from _judged(strategy, played, errors)


def _merged(waves: Iterable[Stories]) -> Stories:
    merged: dict[str, list[Story]] = {}
    for wave in waves:
        for name, stories in wave.items():
            merged.setdefault(name, []).extend(stories)
    return merged


def _judged(strategy: Strategy, stories: Stories, errors: Iterable[str]) -> Iterator[Figure]:
    ident, title = f"H/{strategy.name}", f"H {strategy.name}"
    fixable = [story for name in _FIXABLE for story in stories.get(name, ())]
    healed = share(story.is_up and story.healed_by_defib for story in fixable)
    restarts = Counter(len(story.tries) for story in fixable)
    logged = list(errors)
    yield Figure(
        id=f"{ident}/not-healed", name=f"{title}: fixable faults not healed", unit="%", goal=1.0,
        values=(100 * (healed.of - healed.count) / healed.of,),
        note=f"healed {healed}; attempts that it took: {dict(sorted(restarts.items()))}; seed {SEED}"
        + (f"; {len(logged)} errors logged: {logged[0]}" if logged else ""),
    )  # fmt: skip
    late = [late_s for story in fixable for late_s in story.late_s]
    yield Figure(
        id=f"{ident}/verified", name=f"{title}: verified after the target was ready, p95", unit="s", goal=LATE_S,
        values=(percentile(late, 0.95),),
        note=f"p50/p95/max {percentile(late, 0.5):.1f}/{percentile(late, 0.95):.1f}/{max(late):.1f} s, n {len(late)}",
    )  # fmt: skip
    alone = [story for name in _LEFT_ALONE for story in stories.get(name, ())]
    touched = Counter(story.scenario for story in alone if story.tries)
    yield Figure(
        id=f"{ident}/false-restarts", name=f"{title}: restarts of what was to be left alone", unit="restarts", goal=0.0,
        values=(float(sum(len(story.tries) for story in alone)),),
        note=f"{share(not story.tries for story in alone)} left alone" + (f"; {dict(touched)}" if touched else ""),
    )  # fmt: skip
    yield from _given_up(ident, title, stories.get("unfixable", []))
    yield from _looping(ident, title, stories.get("relapsing", []))
    yield _one_at_a_time(ident, title, stories["group"])


def _given_up(ident: str, title: str, stories: list[Story]) -> Iterator[Figure]:
    yield Figure(
        id=f"{ident}/harm", name=f"{title}: actions on what cannot be healed", unit="actions", goal=3.0, by_worst=True,
        values=tuple(float(len(story.tries)) for story in stories),
    )  # fmt: skip
    paged = [
        min((after for kind, after in story.told if kind in _PAGES), default=float("inf"))
        for story in stories
    ]
    yield Figure(
        id=f"{ident}/page", name=f"{title}: a person is called for it", unit="s", goal=PAGE_S, by_worst=True,
        values=tuple(paged),
    )  # fmt: skip


def _looping(ident: str, title: str, stories: list[Story]) -> Iterator[Figure]:
    if stories:
        seen: Share = share(story.kinds().count("crash_looping") == 1 for story in stories)
        relapses = [sum(item.has_relapsed for item in story.tries) for story in stories]
        yield Figure(
            id=f"{ident}/loops", name=f"{title}: crash loops not recognised", unit="loops", goal=0.0,
            values=(float(seen.of - seen.count),), note=f"after {relapses} relapses",
        )  # fmt: skip


def _one_at_a_time(ident: str, title: str, stories: list[Story]) -> Figure:
    """Of a group of five that falls as a whole; several waves come one after the other."""
    turns = sorted((item.started, item.verified or item.started) for story in stories for item in story.tries)
    overlaps = sum(after < until for (_, until), (after, _) in pairwise(turns))
    return Figure(
        id=f"{ident}/together", name=f"{title}: actions on a fallen group before the last one was verified",
        unit="actions", goal=0.0, values=(float(overlaps),), note=f"{len(turns)} actions",
    )  # fmt: skip


def _killed(bench: Bench) -> Iterator[Figure]:
    """Scenario 20."""
    count = 24 if bench.is_quick else MOMENTS
    campaign = crashes.play(_new(bench.folder / "killed"), crashes.plan(SEED, count))
    stories = campaign.stories
    died = Counter(f"{story.way} {story.died_in or 'before the case'}" for story in stories)
    twice = [story for story in stories if story.executed_twice]
    stuck = [story for story in stories if not story.went_on]
    broken = [audit for audit in campaign.audits if audit]
    told = f"{len(stories)} deaths, seed {SEED}: {dict(died.most_common())}"
    yield Figure(
        id="H/killed/twice", name="H Defib killed: actions executed twice", unit="actions", goal=0.0,
        values=(float(len(twice)),), note="; ".join([told, *map(str, twice[:3])]),
    )  # fmt: skip
    yield Figure(
        id="H/killed/stuck", name="H Defib killed: cases that did not go on", unit="cases", goal=0.0,
        values=(float(len(stuck)),), note="; ".join(map(str, stuck[:3])),
    )  # fmt: skip
    yield Figure(
        id="H/killed/audit", name="H Defib killed: audit chains that do not verify", unit="chains", goal=0.0,
        values=(float(len(broken)),), note=f"{len(campaign.audits)} chains; " + "; ".join(broken[:1]),
    )  # fmt: skip


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder
