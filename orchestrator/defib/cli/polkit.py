"""``defib polkit``: the rule that lets Defib's user start and restart some units, and nothing else."""

import json
import re
from collections.abc import Iterable
from typing import Annotated

import typer

from defib.errors import UsageError

_UNIT = re.compile(
    r"[A-Za-z0-9_:.\\][A-Za-z0-9_:.\\@-]{0,240}\.(?:service|socket|timer|path|mount|automount)"
)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_VERBS = ("start", "restart", "reload", "reset-failed")

_RULE = """\
// Lets {user} do to these units what Defib's recovery does: {verbs}. No other unit, no other verb.
// Made by: {command}
// Put it into /etc/polkit-1/rules.d/50-defib.rules, owned by root, mode 644.
polkit.addRule(function (action, subject) {{
    if (action.id !== "org.freedesktop.systemd1.manage-units" || subject.user !== {user_text}) {{
        return polkit.Result.NOT_HANDLED;
    }}
    var units = {units};
    var verbs = {verb_list};
    if (units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0) {{
        return polkit.Result.YES;
    }}
    return polkit.Result.NOT_HANDLED;
}});
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("polkit")(polkit)


def polkit(
    units: Annotated[
        list[str], typer.Argument(metavar="UNIT…", help="Units that Defib may start and restart.")
    ],
    user: Annotated[str, typer.Option(help="Whom the rule is for.")] = "defib",
) -> None:
    """Print a polkit rule that lets Defib's user restart the named units and nothing else."""
    print(rule(units, user), end="")


def rule(units: Iterable[str], user: str) -> str:
    """The rule, as JavaScript that polkit reads.

    :raises UsageError: a name is none, or means more than one unit.
    """
    names = sorted({_full_name(unit) for unit in units})
    if not _USER.fullmatch(user):
        raise UsageError(f"{user!r} is no name of a user; write for example --user defib")
    return _RULE.format(
        user=user,
        user_text=json.dumps(user),
        verbs=", ".join(_VERBS),
        command=" ".join(("defib polkit", *(() if user == "defib" else ("--user", user)), *names)),
        units=json.dumps(names, indent=4).replace("\n]", "\n    ]").replace('\n    "', '\n        "'),
        verb_list=json.dumps(_VERBS),
    )


def _full_name(unit: str) -> str:
    name = (
        unit
        if unit.rpartition(".")[2] in ("service", "socket", "timer", "path", "mount", "automount")
        else f"{unit}.service"
    )
    if not _UNIT.fullmatch(name) or name.partition(".")[0].endswith("@"):
        raise UsageError(f"{unit!r} is not the name of one unit; write for example openclaw-main.service")
    return name
