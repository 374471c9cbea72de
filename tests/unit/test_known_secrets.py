"""Every secret of a configuration is known by its value, wherever it stands."""

from pathlib import Path

from pydantic import Field, SecretStr

from defib.engine.recovery.known_secrets import secrets_of
from defib.model.ids import MonitorId
from defib.model.monitor import Family, MonitorSpec, RecoveryPolicy, Rung
from defib.model.options import Options
from defib.model.settings import (
    ChannelSpec,
    DeadManSettings,
    IngestSettings,
    ObserverSettings,
    ServerSettings,
    Settings,
)


class Inner(Options):
    key: SecretStr = SecretStr("inner-key")


class Outer(Options):
    dsn: SecretStr = SecretStr("postgresql://app:p%40ss-word@db/app")
    words: SecretStr = SecretStr("host=db password='quoted word' user=app")
    headers: dict[str, SecretStr] = Field(default_factory=lambda: {"X-Key": SecretStr("header-value")})
    several: tuple[Inner, ...] = (Inner(),)
    short: SecretStr = SecretStr("abc")
    plain: str = "not-secret"


def test_all_of_them_and_the_passwords_inside_addresses() -> None:
    spec = MonitorSpec(
        id=MonitorId("db"), name="DB", kind="postgres", family=Family.DATABASE, options=Outer(),
        recovery=RecoveryPolicy(ladder=(Rung(kind="http", options=Inner(key=SecretStr("rung-key"))),)),
    )  # fmt: skip
    settings = Settings(
        base=Path("/"), files=(), monitors=(spec,),
        channels=(ChannelSpec(name="mail", kind="email", options=Inner(key=SecretStr("smtp-password"))),),
        store="postgresql://defib:store-password@db/defib",
        server=ServerSettings(ingest=IngestSettings(registration_key="registration")),
        observer=ObserverSettings(dead_man=DeadManSettings(url="https://hc.example.com/ping/uuid")),
    )  # fmt: skip

    assert secrets_of(settings) == {
        "postgresql://app:p%40ss-word@db/app", "p%40ss-word", "p@ss-word",
        "host=db password='quoted word' user=app", "quoted word", "header-value", "inner-key", "rung-key",
        "smtp-password", "store-password", "registration", "https://hc.example.com/ping/uuid",
    }  # fmt: skip


def test_a_configuration_without_secrets_has_none() -> None:
    assert secrets_of(Settings(base=Path("/"), files=())) == frozenset()
