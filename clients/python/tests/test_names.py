"""Names, durations and JSON on the wire."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from latchkey import Address, RawId, names


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("dev-1", "dev-1"),
        ("a.b_c:d@e+f~g!h'i(j)", "a.b_c:d@e+f~g!h'i(j)"),
        ("100%", "100%25"),
        ("dev/1", "dev%2F1"),
        ("café", "caf%C3%A9"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("🙂", "%F0%9F%99%82"),
        ("*", "%2A"),
        ("a*b", "a*b"),
        ("a b\n\x00", "a%20b%0A%00"),
        ("\ud800", "%ED%A0%80"),
        ("{}", "%7B%7D"),
    ],
)
def test_an_id_is_encoded_and_decoded(text: str, encoded: str) -> None:
    assert names.encode_id(text) == encoded
    assert names.decode_id(encoded) == text
    assert type(names.decode_id(encoded)) is str


def test_any_text_comes_back() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        text = "".join(
            chr(rng.choice((rng.randrange(128), rng.randrange(0x11000)))) for _ in "abcd"
        )
        encoded = names.encode_id(text)
        assert encoded.isascii()
        assert not set(encoded) & set(' "{}[]/,=')
        assert names.decode_id(encoded) == text


@pytest.mark.parametrize("foreign", ["caf%c3%a9", "100%", "%41", "%FF", "a%2", "*", "%ED%A0"])
def test_an_id_that_no_text_encodes_to_is_kept_as_it_is(foreign: str) -> None:
    decoded = names.decode_id(foreign)
    assert isinstance(decoded, RawId)
    assert names.encode_id(decoded) == foreign


def test_what_is_no_id_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        names.encode_id("")
    with pytest.raises(TypeError, match="bytes"):
        names.encode_id(b"dev-1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="percent-encoding"):
        names.encode_id(RawId("a b"))


def test_an_address_has_its_parts_encoded() -> None:
    assert names.address("a/b") == "a%2Fb"
    assert names.address(Address("a/b")) == "a%2Fb"
    assert names.address(Address("a/b", "01J0")) == "a%2Fb/01J0"
    assert names.address(Address("a", "01J0", 2)) == "a/01J0/2"
    assert names.address(Address("a", None, "current")) == "a/current/current"


@pytest.mark.parametrize(
    ("value", "wire", "seconds"),
    [
        (30, "30s", 30.0),
        (0, "0s", 0.0),
        (0.05, "50ms", 0.05),
        (1.5, "1500ms", 1.5),
        (2.0, "2s", 2.0),
        (timedelta(minutes=2), "120s", 120.0),
        ("24h", "24h", 86400.0),
        ("500ms", "500ms", 0.5),
        ("7", "7", 7.0),
        ("3d", "3d", 259200.0),
    ],
)
def test_a_duration(value: names.Duration, wire: str, seconds: float) -> None:
    assert names.duration(value) == wire
    assert names.seconds(value) == seconds


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1 s", "s", "", "1w", "-1s"])
def test_what_is_no_duration_is_an_error(value: names.Duration) -> None:
    with pytest.raises(ValueError, match="no duration"):
        names.duration(value)


@pytest.mark.parametrize("value", [True, None, b"1s"])
def test_another_type_is_no_duration(value: Any) -> None:
    with pytest.raises(TypeError):
        names.duration(value)


def test_json_as_it_goes_over_the_wire() -> None:
    assert names.dump({"a": [1, None, "é\n"]}) == '{"a":[1,null,"é\\n"]}'
    assert names.utf8('{"a":"\ud800é"}') == '{"a":"\\ud800é"}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        names.dump({"a": float("nan")})
    digits = "9" * 5000
    assert names.load(f'{{"n":{digits},"m":7}}') == {"n": Decimal(digits), "m": 7}


def test_a_text_is_quoted_if_it_has_to_be() -> None:
    assert names.word("booked") == "booked"
    assert names.word("first draft") == '"first draft"'
    assert names.word('{"') == '"{\\""'
    assert names.word("a=b") == '"a=b"'
    assert names.word("") == '""'
