"""What a report of an agent says to the monitor that watches it. Pure."""

from datetime import datetime, timedelta

from defib.model.agent import Agent, AgentReport
from defib.model.beat import Beat

_NOTHING = timedelta(0)


def as_beat(agent: Agent, report: AgentReport, now: datetime) -> Beat:
    """The beat that it is; each disk is a metric ``disk_percent:NAME``, the agent's own word a fact ``status``."""
    metrics = report.metrics
    if report.disks:
        metrics = {**metrics, **{f"disk_percent:{name}": used for name, used in report.disks.items()}}
    return Beat(
        monitor=agent.monitor, signal=report.signal, received_at=now, protocol=report.protocol or agent.protocol,
        body=report.error, facts={**report.facts, "status": report.status} if report.status else report.facts,
        metrics=metrics, seq=report.seq, epoch=report.epoch, eta=report.every, age=max(report.age, _NOTHING),
    )  # fmt: skip
