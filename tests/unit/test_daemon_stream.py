"""The parser of the local socket's stream: objects however they are cut and joined, and garbage however bad."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defib_plugins.daemon_stream import OBJECT_LIMIT_BYTES, Garbage, ObjectStream, parse_instant

GO_BEAT = (
    b'{"pid":4242,"timestamp":"2025-12-05T18:00:00.123456789+08:00","version":"1.4.0",'
    b'"status":"running","cpu":217.5,"memory":52428800}\n'
)
BEAT = {
    "pid": 4242, "timestamp": "2025-12-05T18:00:00.123456789+08:00", "version": "1.4.0", "status": "running",
    "cpu": 217.5, "memory": 52428800,
}  # fmt: skip

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=6)


def cut(*packets: bytes) -> list[bytes | Garbage]:
    stream = ObjectStream()
    return [item for packet in packets for item in stream.feed(packet)]


def fed(*packets: bytes) -> list[dict[str, Any] | Garbage]:
    return [item if isinstance(item, Garbage) else json.loads(item) for item in cut(*packets)]


def test_what_a_go_agent_writes_is_one_object() -> None:
    assert fed(GO_BEAT) == [BEAT]


def test_an_object_may_come_byte_by_byte() -> None:
    assert fed(*(GO_BEAT[at : at + 1] for at in range(len(GO_BEAT)))) == [BEAT]


@pytest.mark.parametrize("at", range(1, len(GO_BEAT)))
def test_an_object_may_be_split_anywhere(at: int) -> None:
    assert fed(GO_BEAT[:at], GO_BEAT[at:] + GO_BEAT) == [BEAT, BEAT]


@pytest.mark.parametrize(
    "between", [b"", b"\n", b"\r\n", b" ", b"\t", b",", b",\n", b"\x1e", b"\x00", b"\n\n\n"]
)
def test_anything_or_nothing_may_stand_between_two_objects(between: bytes) -> None:
    assert fed(b'{"pid":1}' + between + b'{"pid":2}' + between) == [{"pid": 1}, {"pid": 2}]


def test_an_object_may_be_written_over_several_lines() -> None:
    assert fed(b'{\n  "pid": 1,\n  "tags": [\n    "a"\n  ]\n}\n') == [{"pid": 1, "tags": ["a"]}]


def test_brackets_and_quotes_within_a_string_are_text() -> None:
    assert fed(rb'{"status":"}{][\"\\"}', rb'{"pid":1}') == [{"status": '}{]["\\'}, {"pid": 1}]


def test_an_escape_may_be_split_between_packets() -> None:
    assert fed(b'{"status":"a\\', b'"b"}') == [{"status": 'a"b'}]


@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "something that is no JSON object"),
        (b"[1,2]\n", "something that is no JSON object"),
        (b"12\n", "something that is no JSON object"),
        (b"\xff\xfe\n", "something that is no JSON object"),
        (b"}\n", "something that is no JSON object"),
        (b'{"pid":1,"status":"runn\n', "a line that ends within a string"),
        (b'{"a":' + b"[" * 21 + b"\n", "an object nested more than 20 deep"),
        (b'{"a":"' + b"x" * OBJECT_LIMIT_BYTES + b"\n", "an object of more than 16384 bytes"),
    ],
)
def test_garbage_is_told_once_and_the_next_line_is_read(garbage: bytes, why: str) -> None:
    assert fed(garbage, b'{"pid":2}\n') == [Garbage(why), {"pid": 2}]


def test_an_object_that_never_ends_is_dropped_at_its_limit() -> None:
    stream = ObjectStream()
    found = [item for _ in range(64) for item in stream.feed(b'{"a":"' + b"x" * 1024)]
    assert found == [Garbage("an object of more than 16384 bytes")]
    assert list(stream.feed(b'\n{"pid":1}')) == [b'{"pid":1}']


@given(
    st.lists(
        st.binary(max_size=80)
        | st.sampled_from([b'{"', b'":', b"{", b"}", b"[", b"\\", b'"', b"\n", GO_BEAT])
    )
)
def test_whatever_comes_nothing_is_raised_and_a_beat_on_a_line_of_its_own_gets_through(
    packets: list[bytes],
) -> None:
    stream = ObjectStream()
    for packet in packets:
        for item in stream.feed(packet):
            assert isinstance(item, bytes | Garbage)
    after = [item for packet in (b'"\n\n' + b"}" * 25 + b"\n", GO_BEAT) for item in stream.feed(packet)]
    assert GO_BEAT.strip() in after


@given(st.lists(objects, max_size=5), st.data())
def test_what_an_encoder_writes_is_read_back_however_it_is_cut(
    written: list[dict[str, Any]], data: st.DataObject
) -> None:
    text = b"".join(
        json.dumps(item, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
        for item in written
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    packets = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert fed(*packets) == written


@given(st.binary(max_size=300), st.integers(0, 300))
def test_where_a_stream_is_cut_changes_nothing(data: bytes, at: int) -> None:
    assert cut(data) == cut(data[:at], data[at:])


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-07-27T17:47:54Z", datetime(2025, 7, 27, 17, 47, 54, tzinfo=UTC)),
        ("2025-12-05T18:00:00.123456789+08:00", datetime(2025, 12, 5, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2025-12-05t18:00:00.5z", datetime(2025, 12, 5, 18, 0, 0, 500000, tzinfo=UTC)),
        ("2025-12-05 18:00:00-00:30", datetime(2025, 12, 5, 18, 30, tzinfo=UTC)),
        ("2025-12-05T18:00:00", None),
        ("2025-02-31T18:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        ("", None),
        (1733400000, None),
        (None, None),
    ],
)
def test_instants_are_read_to_the_microsecond_and_need_a_zone(text: object, instant: datetime | None) -> None:
    assert parse_instant(text) == instant


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"))
def test_no_text_breaks_the_reading_of_an_instant(text: str) -> None:
    assert parse_instant(text) is None or parse_instant(text.strip()) is not None
