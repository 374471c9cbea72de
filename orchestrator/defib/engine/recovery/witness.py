"""Asks an action about its target, right before it would run."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TypeVar

from defib.errors import ActionHeldBackError, ActionRefusedError
from defib.logs import get_logger
from defib.model.recovery import Attempt
from defib.ports import Action, Aimed, Attended, Dated
from defib.rules.recovery.gates import foreign_change
from defib.rules.recovery.situation import Target

log = get_logger("defib.witness")

_T = TypeVar("_T")
_PATIENCE_S = 5.0  #: with a supervisor that does not answer; its silence holds nothing up


async def ask(action: Action, fault_lo: datetime, own: Sequence[Attempt]) -> Target:
    """Whether the action may run now, and whether somebody else has just been at work or has stopped the target.

    :param fault_lo: the target was still well then.
    :param own: attempts of Defib at this monitor.
    """
    try:
        action.check()
        if isinstance(action, Aimed):
            await _patiently(action.aim())
    except ActionHeldBackError as error:
        return Target(held_back=str(error))
    except ActionRefusedError as error:
        return Target(refused=str(error))
    stopped = await _patiently(action.stopped_on_purpose()) if isinstance(action, Attended) else None
    changed_at = await _patiently(action.acted_at()) if isinstance(action, Dated) else None
    return Target(stopped=stopped or "", changed_at=foreign_change(changed_at, fault_lo, own))


async def _patiently(question: Awaitable[_T]) -> _T | None:
    """The answer; None when there is none in time, or the plugin breaks over it: it is a help, not a need."""
    try:
        return await asyncio.wait_for(question, _PATIENCE_S)
    except ActionRefusedError:
        raise
    except TimeoutError:
        return None
    except Exception as error:  # an action is a plugin
        log.warning("an action does not know its target", error=repr(error), exc_info=error)
        return None
