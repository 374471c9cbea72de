"""For tests of the configuration: a registry of small plugins, and ways to load a text with them."""

import importlib.metadata
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from defib import config, registry
from defib.errors import ConfigError
from defib.hookspecs import ActionType, ChannelType, DetectorType, MonitorType, ReportType
from defib.model.monitor import Family, MonitorSpec
from defib.model.options import Duration, Options, Percent, Secret
from defib.model.settings import Settings
from defib.model.strategy import Strategy
from defib.ports import BuildContext
from defib.registry import Fault, Kinds, Origin, Registry

ROOT = Path(__file__).parents[2]
OWN = Origin(plugin="toys", module="toys", distribution="defib", version="0.1.0")
BROKEN = Origin(plugin="ldap", module="ldap_plugin", distribution="defib-ldap", version="2.0")


class Expectation(Options):
    status: int = Field(default=200, ge=100, le=599, description="The status.")
    answers: dict[str, str] = Field(default_factory=dict, description="Words by path.")
    within: Duration | None = Field(default=None, description="A slower answer is degraded.")


class WebOptions(Options):
    url: str = Field(description="Where to look, such as http://localhost:8000/health.")
    port: int = Field(default=80, description="Its port.")
    share: Percent = Field(default=90, description="Of the whole.")
    expect: Expectation = Field(default=Expectation(), description="A healthy answer.")
    level: Literal["low", "high"] = Field(default="low", description="How deep to look.")
    to: tuple[str, ...] = Field(default=(), description="Names.")
    body: str | Expectation | None = Field(default=None, description="Text, or what to expect.")
    limit: int | tuple[int, ...] = Field(default=0, description="One number or several.")
    sender: str = Field(default="", alias="from", description="Who asks.")
    password: Secret | None = Field(default=None, description="Never shown.")
    anything: Any = Field(default=None, description="Any value at all.")

    @field_validator("url")
    @classmethod
    def _no_crash(cls, url: str) -> str:
        if url == "crash-schema":
            raise ArithmeticError("the secret is hunter2")
        return url

    @model_validator(mode="after")
    def _one_of_both(self) -> "WebOptions":
        if self.url == "none" and not self.to:
            raise ValueError("needs 'to' when the url is none; add names to it")
        if self.url == "many" and len(self.to) < 2:
            raise ValueError("to: must name two at least; add another")
        return self


class Web:
    host = ""

    def __init__(self, options: WebOptions, context: BuildContext) -> None:
        if options.url.startswith("ftp:"):
            raise ValueError(f"cannot look at {options.url}; write an http:// address")
        if options.expect.status == 205 and options.body:
            raise ValueError("expect.status: 205 comes without a body; remove one of them")
        if options.url == "crash":
            raise RuntimeError("the secret is hunter2")
        self.target = options.url


class NoOptions(Options):
    pass


class RestartOptions(Options):
    unit: str = Field(default="", description="The unit; the monitor's own when left out.")
    action: Literal["restart", "reload"] = Field(default="restart", description="What to do.")


class ScriptOptions(Options):
    file: str = Field(description="Its name.")


def create_script(options: ScriptOptions, monitor: MonitorSpec, context: BuildContext) -> object:
    if not any((folder / options.file).is_file() for folder in context.script_folders):
        raise ValueError(
            f"no script {options.file} for {monitor.id} in {len(context.script_folders)} folders"
        )
    return object()


class MailOptions(Options):
    to: tuple[str, ...] = Field(min_length=1, description="Recipients.")
    password: Secret | None = Field(default=None, description="For the server.")


def create_mail(name: str, options: MailOptions, context: BuildContext) -> object:
    if "nobody" in options.to:
        raise ValueError(f"channel {name} would write to nobody; name somebody")
    return object()


def _strategy(name: str, interval: int, timeout: int) -> Strategy:
    return Strategy(
        name=name, summary=f"{name} polling", interval=timedelta(seconds=interval), timeout=timedelta(seconds=timeout)
    )  # fmt: skip


def _kinds(noun: str, *items: Any) -> Kinds[Any]:
    by_kind = {getattr(item, "kind", None) or item.name: item for item in items}
    return Kinds(noun, by_kind, dict.fromkeys(by_kind, OWN))


def _nothing(*_: object) -> Any:
    return object()


def toy_registry() -> Registry:
    """Kinds that are easy to misspell, and one plugin that did not load."""
    return Registry(
        monitors=_kinds(
            "monitor type",
            MonitorType(kind="web", summary="A page", family=Family.AGENT, options=WebOptions, create=Web),  # type: ignore[arg-type]
            MonitorType(kind="beat", summary="A job", family=Family.JOB, options=NoOptions, create=_nothing),
        ),
        strategies=_kinds(
            "strategy",
            _strategy("aggressive", 15, 3),
            _strategy("normal", 30, 5),
            _strategy("conservative", 60, 10),
        ),
        detectors=_kinds("detector", DetectorType(kind="consecutive", summary="counts", create=_nothing)),
        actions=_kinds(
            "recovery action",
            ActionType(kind="restart", summary="restarts", options=RestartOptions, create=_nothing),
            ActionType(kind="script", summary="runs", options=ScriptOptions, create=create_script),  # type: ignore[arg-type]
        ),
        channels=_kinds(
            "alert channel",
            ChannelType(kind="mail", summary="mails", options=MailOptions, create=create_mail),  # type: ignore[arg-type]
        ),
        texts=_kinds("alert text composer"),
        reports=_kinds("report", ReportType(kind="daily", summary="a day", create=_nothing)),
        receivers=_kinds("beat receiver"),
        plugins=(OWN,),
        faults=(Fault(origin=BROKEN, message="ModuleNotFoundError: No module named 'ldap3'"),),
    )


@cache
def real_registry() -> Registry:
    """The built-in plugins, as pyproject.toml names them, whether Defib is installed or not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["defib"].items()
    return registry.load(importlib.metadata.EntryPoint(name, module, "defib") for name, module in points)


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Load ``text`` as ``defib.yaml`` in ``folder`` with the toys."""
    path = folder / "defib.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, toy_registry(), environ or {})


def mistakes(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Every mistake in ``text``, each as ``line: path: message``."""
    return mistakes_of(folder, folder / "defib.yaml", lambda: load(folder, text, environ))


def mistakes_of(folder: Path, path: Path, loading: Any) -> list[str]:
    """Every mistake that ``loading`` raises, with the names of its files shortened to ``path``'s folder."""
    try:
        loading()
    except ConfigError as error:
        prefix = f"{path}:" if path.suffix else f"{path}/"
        return [str(mistake).removeprefix(prefix).replace(f"{folder}/", "") for mistake in error.mistakes]
    return []
