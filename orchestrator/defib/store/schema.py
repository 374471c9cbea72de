"""The tables. Instants are microseconds since 1970 in UTC; compound values that are only read back whole are JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)  # fmt: skip

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


REVISION = "0001"
"""The newest migration; a store at this revision needs no migration tool at start."""

metadata = MetaData()

health = Table(
    "health", metadata,
    Column("monitor", String(100), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("since", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("memory", JSON, nullable=False),
    Column("incident", String(40)),
    Column("last", JSON),
    Column("last_ok_at", Instant),
    Column("first_fail_at", Instant),
    Column("deadline", Instant),
    Column("was_up", Boolean, nullable=False),
    Column("beats", JSON, nullable=False),
    Column("flaps", JSON, nullable=False),
    Column("stop_told", Boolean, nullable=False),
)  # fmt: skip

symbol = Table(
    "symbol", metadata,  # numbers for names that long tables repeat: of monitors, and of metrics
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("text", Text, nullable=False, unique=True),
)  # fmt: skip

journal = Table(
    "journal", metadata,  # looks that are not rolled into hours yet
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("hour", Integer, nullable=False),  # since 1970
    Column("shard", Integer, nullable=False),  # number of the monitors / 256
    Column("newest", Instant, nullable=False),
    Column("looks", LargeBinary, nullable=False),  # rules/journal.py
    Index("journal_hour", "hour", "shard"),
    sqlite_autoincrement=True,  # whoever follows it must not see a number twice
)  # fmt: skip

SLOT = 1 << 24
"""A slot is ``hours since 1970 * SLOT + number of the monitor``: in its order hours are appended, read and dropped."""

raw_hour = Table(
    "raw_hour", metadata,
    Column("slot", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("samples", LargeBinary, nullable=False),  # rules/samples.py
)  # fmt: skip

hour_rollup = Table(
    "hour_rollup", metadata,
    Column("slot", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("healthy", Integer, nullable=False),
    Column("unhealthy", Integer, nullable=False),
    Column("error", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("sum_us", BigInteger),  # of healthy answers, as are the others; NULL when none was timed
    Column("min_us", BigInteger),
    Column("max_us", BigInteger),
    Column("sketch", LargeBinary),  # rules/sketch.py
)  # fmt: skip

metric_hour = Table(
    "metric_hour", metadata,
    Column("slot", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("figures", LargeBinary, nullable=False),  # rules/tally.py
)  # fmt: skip

metric_series = Table(
    "metric_series", metadata,  # who has which metrics
    Column("name", BigInteger, primary_key=True, autoincrement=False),
    Column("monitor", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)  # fmt: skip

transition = Table(
    "transition", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("monitor", String(100), nullable=False),
    Column("from_state", String(16), nullable=False),
    Column("to_state", String(16), nullable=False),
    Column("t_lo", Instant, nullable=False),
    Column("t_hi", Instant, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON),
    Column("incident", String(40)),
    Index("transition_monitor_decided", "monitor", "decided_at"),
    Index("transition_decided", "decided_at"),
)  # fmt: skip

decision = Table(
    "decision", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("monitor", String(100), nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("version", String(40), nullable=False),
    Column("before", JSON, nullable=False),
    Column("observation", JSON, nullable=False),
    Column("strategy", JSON, nullable=False),
    Column("is_told", Boolean, nullable=False),
    Column("required", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("memory", JSON, nullable=False),
    Index("decision_decided", "decided_at"),
    Index("decision_monitor", "monitor", "decided_at"),
)  # fmt: skip

incident = Table(
    "incident", metadata,
    Column("id", String(40), primary_key=True),
    Column("monitor", String(100), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("fault_lo", Instant, nullable=False),
    Column("fault_hi", Instant, nullable=False),
    Column("cause", String(60), nullable=False),
    Column("grade", String(4), nullable=False),
    Column("summary", Text, nullable=False),
    Column("closed_at", Instant),
    Column("healed_by", String(20)),
    Column("resolution", Text, nullable=False),
    Column("root", String(40)),
    Column("label", String(20), nullable=False),
    Column("acked_at", Instant),
    Column("acked_by", String(100), nullable=False),
    Column("ack_note", Text, nullable=False),
    Column("said", JSON, nullable=False),
    Index("incident_opened", "opened_at"),
    Index("incident_monitor", "monitor", "opened_at"),
    Index("incident_root", "root"),
)  # fmt: skip

recovery_case = Table(
    "recovery_case", metadata,
    Column("id", String(40), primary_key=True),
    Column("incident", String(40), nullable=False),
    Column("monitor", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("oks", Integer, nullable=False),
    Column("gate", String(20)),
    Column("gated_since", Instant),
    Column("pages", JSON, nullable=False),
    Column("attempt", String(40)),
    Column("actor", String(100), nullable=False),
    Column("closed_at", Instant),
    Index("recovery_case_monitor", "monitor", "opened_at"),
    Index("recovery_case_state", "state"),
)  # fmt: skip

attempt = Table(
    "attempt", metadata,
    Column("id", String(40), primary_key=True),
    Column("case", String(40), nullable=False),
    Column("incident", String(40), nullable=False),
    Column("monitor", String(100), nullable=False),
    Column("number", Integer, nullable=False),
    Column("rung", Integer, nullable=False),
    Column("kind", String(60), nullable=False),
    Column("description", Text, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("intent_at", Instant, nullable=False),
    Column("boot_id", String(40), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("pid", Integer),
    Column("pid_started", Float),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("verified_at", Instant),
    Column("exit_status", Integer),
    Column("outcome", String(16), nullable=False),
    Column("output", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("identity_before", Text),
    Column("identity_after", Text),
    Column("signature_before", Text, nullable=False),
    Column("signature_after", Text, nullable=False),
    Column("relapsed_at", Instant),
    Index("attempt_monitor", "monitor", "intent_at"),
    Index("attempt_intent", "intent_at"),
)  # fmt: skip

snapshot = Table(
    "snapshot", metadata,
    Column("incident", String(40), primary_key=True),
    Column("monitor", String(100), nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("missing", JSON, nullable=False),
    Index("snapshot_taken", "taken_at"),
)  # fmt: skip

audit = Table(
    "audit", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("event", String(60), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("prev_sha256", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Index("audit_at", "at"),
)  # fmt: skip

leader = Table(
    "leader", metadata,  # one row
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("holder", String(40), nullable=False),  # a random name for each term of office
    Column("owner", Text, nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("renewed_at", Instant, nullable=False),
    Column("audit_id", BigInteger, nullable=False),  # the newest audit row: its end cannot be cut off unseen
    Column("audit_sha256", String(64), nullable=False),
)  # fmt: skip

alert = Table(
    "alert", metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("recommendations", JSON, nullable=False),
    Column("at", Instant, nullable=False),
    Column("monitor", String(100)),
    Column("incident", String(40)),
    Column("facts", JSON, nullable=False),
    Column("verdicts", JSON, nullable=False),
    Index("alert_at", "at"),
    Index("alert_incident", "incident"),
)  # fmt: skip

delivery = Table(
    "delivery", metadata,
    Column("id", String(40), primary_key=True),
    Column("channel", String(100), nullable=False),
    Column("notice", String(60), nullable=False),
    Column("notice_type", String(10), nullable=False),
    Column("key", String(200), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("thread", String(200), nullable=False),
    Column("state", String(10), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("accepted_at", Instant),
    Column("receipt", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("sent_with", String(40)),
    Column("purpose", String(12), nullable=False),
    Column("stands_in_for", String(40)),
    Column("is_quiet", Boolean, nullable=False),
    Index("delivery_thread", "channel", "thread"),
    Index("delivery_state", "state", "due_at"),
    Index("delivery_notice", "notice"),
    Index("delivery_created", "created_at"),
)  # fmt: skip

delivery_try = Table(
    "delivery_try", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("delivery", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Column("duration_s", Float, nullable=False),
    Index("delivery_try_delivery", "delivery"),
)  # fmt: skip

beat = Table(
    "beat", metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("monitor", String(100), nullable=False),
    Column("signal", String(10), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("protocol", String(20), nullable=False),
    Column("exit_status", Integer),
    Column("body", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("beat_monitor", "monitor", "received_at"),
)  # fmt: skip

report = Table(
    "report", metadata,
    Column("id", String(60), primary_key=True),
    Column("name", String(60), nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("generated_at", Instant, nullable=False),
    Column("subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("csv", Text, nullable=False),
)  # fmt: skip

report_image = Table(
    "report_image", metadata,
    Column("report", String(60), primary_key=True),
    Column("cid", String(100), primary_key=True),
    Column("png", LargeBinary, nullable=False),
)  # fmt: skip

setting = Table(
    "setting", metadata,
    Column("key", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip

watch = Table(
    "watch", metadata,
    Column("started_at", Instant, primary_key=True),
    Column("seen_at", Instant, nullable=False),
)  # fmt: skip

agent = Table(
    "agent", metadata,
    Column("id", String(200), primary_key=True),
    Column("monitor", String(100), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("hostname", String(255), nullable=False),
    Column("address", String(100), nullable=False),
    Column("os", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("pool", String(200), nullable=False),
    Column("protocol", String(20), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("every_ms", BigInteger),
    Column("offline_after_ms", BigInteger),
    Column("token", String(40)),
    Column("aliases", JSON, nullable=False),
    Column("given", JSON, nullable=False),
    Column("source", String(100), nullable=False),
    Column("called", String(200), nullable=False),
    Column("kept_out_at", Instant),
    Column("removed_at", Instant),
)  # fmt: skip

made_monitor = Table(
    "made_monitor", metadata,
    Column("id", String(100), primary_key=True),
    Column("kind", String(100), nullable=False),
    Column("name", String(200), nullable=False),
    Column("options", JSON, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("made_by", String(300), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("removed_at", Instant),
)  # fmt: skip

token = Table(
    "token", metadata,
    Column("id", String(40), primary_key=True),
    Column("root", String(40), nullable=False),
    Column("name", String(200), nullable=False),
    Column("scope", String(10), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("agent", String(200)),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)  # fmt: skip

window = Table(
    "window", metadata,
    Column("id", String(100), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("matcher", JSON, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("reason", Text, nullable=False),
    Column("made_by", String(100), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("ends_with_beat", Boolean, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", String(100), nullable=False),
    Index("window_starts", "starts_at"),
)  # fmt: skip
