"""What an action came to: the target decides, not the exit status."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from defib.model.evidence import Evidence, Grade, Outcome, ProbeStatus

WRONG_ANSWER_FAIL = timedelta(seconds=15)
"""A target that answers, but wrongly, for this long is not coming back."""
GONE_FAIL = timedelta(seconds=10)
"""One that was seen to be gone for this long has ended again."""
FAILED_ACTION_WAIT = timedelta(seconds=10)
"""How long to look for an effect of an action that failed."""
RESUME_WAIT = timedelta(seconds=10)
"""After Defib itself was away, a target gets at least this long before it is judged."""

_STARTING = frozenset({"http-503", "starting", "starting-up", "recovering"})
"""Causes of answers that say: not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the looks since the action ended showed, without a break until now."""

    wrong_since: datetime | None = None  #: it answers, but wrongly
    gone_since: datetime | None = None  #: its process or container does not exist
    signature: str = ""  #: of the newest failure

    def see(self, evidence: Evidence, at: datetime, signature: str) -> "Signs":
        """Take one look that began at ``at``, after the action had ended."""
        match evidence.outcome:
            case Outcome.INCONCLUSIVE:
                return self
            case Outcome.OK:
                return Signs()
            case Outcome.FAIL:
                is_gone = evidence.grade is Grade.AUTHORITATIVE
                is_wrong = evidence.status is ProbeStatus.UNHEALTHY and evidence.cause not in _STARTING
                return replace(
                    self,
                    wrong_since=(self.wrong_since or at) if is_wrong and not is_gone else None,
                    gone_since=(self.gone_since or at) if is_gone else None,
                    signature=signature,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An attempt that waits for its verdict."""

    ended_at: datetime  #: its action
    start_timeout: timedelta
    has_failed: bool = False  #: the action exited with an error or was killed
    resumed_at: datetime | None = None  #: Defib itself was away until then
    signs: Signs = Signs()


def why_failed(trial: Trial, now: datetime) -> str:
    """Why the target is not coming back, in words; "" while it still may."""
    if trial.resumed_at is not None and now - trial.resumed_at < RESUME_WAIT:
        return ""
    signs, waited = trial.signs, now - trial.ended_at
    if signs.wrong_since is not None and now - signs.wrong_since >= WRONG_ANSWER_FAIL:
        return "it answers again, but still wrongly"
    if signs.gone_since is not None and now - signs.gone_since >= GONE_FAIL:
        return "it has ended again"
    limit = min(trial.start_timeout, FAILED_ACTION_WAIT) if trial.has_failed else trial.start_timeout
    return f"not well {waited.total_seconds():.0f} s after the action" if waited >= limit else ""
