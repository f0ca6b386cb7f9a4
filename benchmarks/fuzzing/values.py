"""Values that readers stumble over: cells, bytes, JSON values and arrays."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

CELLS = [
    "", " ", "nan", "NaN", "NA", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e-999", "1e308", "9" * 400,
    "0x10", "1_000", "1,5", "1.5.5", "1e", "e5", "+", "-", "--1", "True", "False", "None", "null", "NULL",
    "#N/A",
    "\u0661\u0662", "\u00b2", "\uff11", "1\u00a0000", "\u22121", "<script>", "=1+1", "@x", "'", '"', '""',
    '"a',
    'a"b', "\x00", "a\x00b", "\ufeff", "\ud7ff", "\U0001f600", "\u202e", "\r", "\n", "a\nb", '"a\nb"',
    ".x", "x.",
    "a.x", "a..x", "a.x.y", "node", "time", "t", "run", "value", "variable", "weight", "sender", "source",
    "target", "from", "to", "sign", "Time", "TIME", "1" * 5000, "-0.0", "1e-320", "0b1", "1j", "1d5",
    "nan(1)",
    "a b", "\t", ";", ",", "\\", "\\N", "%s", "{}", "k", "x", "sin", "__class__", "1;2", "1 2", "2024-01-01",
    "2024-01-01T00:00:00Z", "31/12/2023", "2024-13-45", "1:30", "0001-01-01", "9999-12-31", "NaT", "1.234,56",
    "0.1e+0000000001", "4.9e-324", "1.7976931348623159e308", "18446744073709551616", "9223372036854775808",
    "-9223372036854775809", "activates", "inhibits", "->", "-|", "+1", "-1", "0", "1",
]  # fmt: skip

BYTES = [
    b"\x00", b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\r\n", b'"', b"'", b",", b";", b"\t", b"\x1a",
    b"\x0b", b"\x0c", b"\x1c", b"\xc3", b"\xe2\x80\xa8", b"\xc2\x85", b"\xed\xa0\x80", b"\x1f\x8b\x08",
    b"PK\x03\x04", b"\\", b"#", b" ", b".", b"[", b"{", b"(", b"<",
]  # fmt: skip

TEXTS = [
    "x_i", "-x_i", "x_j - x_i", "x_i**x_i**x_i", "1/0", "sin(x_i)", "(" * 50, "hill(x_i,1,2)", "9**9**9",
    "x_j*" * 30 + "x_j", "tanh(exp(" * 8 + "x_i" + "))" * 8, "exp(1e5 + x_i)", "mol/L", "self", "interaction",
]  # fmt: skip

NUMBERS = [
    0, 1, -1, 2, 1.5, 1e308, -1e308, 10**400, -(10**30), 2**31, 2**63, 2**64, float("nan"), float("inf"),
    -float("inf"), 1e-320, -0.0, True, False, None,
]  # fmt: skip


def json_value(r: Random, depth: int = 0) -> Any:
    """A value of JSON, as deep as four."""
    kind = r.randrange(22)
    if kind < 5:
        return r.choice(NUMBERS)
    if kind < 9:
        return r.choice(CELLS)
    if kind < 12 or (depth > 3 and kind < 20):
        return r.choice([[], {}])
    if kind < 17:
        return [json_value(r, depth + 1) for _ in range(r.randrange(4))]
    if kind < 20:
        return {
            r.choice([*CELLS, "x", "name"]): json_value(r, depth + 1) for _ in range(r.randrange(4))
        }
    return r.choice(TEXTS)


def plain_object(r: Random) -> Any:
    """A Python object that is seldom what a function wants."""
    return r.choice(
        [
            None, 0, -1, 2**70, 1.5, float("nan"), float("inf"), True, "x", "", b"x", [], {}, (), set(),
            {"a"}, [[]],
            [None], ["a"], {"a": 1}, {1: 2}, object(), object, len, 1j, range(3), [1, [2]], np.float64(1),
            np.nan,
            np.array(3), np.array([]), np.datetime64("2024-01-01"), np.timedelta64(3, "s"), "a" * 5000,
            10**400,
        ]
    )  # fmt: skip


def array(r: Random, shape: tuple[int, ...]) -> Any:
    """Numbers of a shape, in one of the kinds of arrays people have."""
    numbers = np.array([r.gauss(0, 1) for _ in range(int(np.prod(shape)))]).reshape(shape)
    kind = r.randrange(24)
    if kind < 8:
        return numbers
    if kind == 8:
        return numbers.tolist()
    if kind == 9:
        return numbers.astype(r.choice(["f2", "f4", "i1", "i8", "u8", "?", "c16", "U5", "S3", "O"]))
    if kind == 10:
        return (numbers * 1e9).astype(r.choice(["M8[s]", "m8[s]", "M8[D]", "M8[ns]"]))
    if kind == 11:
        return np.ma.masked_array(numbers, mask=numbers > 0.5)
    if kind == 12:
        return numbers * r.choice([1e300, 1e-300, 1e155, np.nan, np.inf, 0.0])
    if kind == 13:
        return np.where(numbers > 1, r.choice([np.nan, np.inf, -np.inf, 1e308, -1e308]), numbers)
    if kind == 14:
        return numbers[..., None] if r.random() < 0.5 else numbers[None]
    if kind == 15:
        return numbers[: r.randrange(2)]
    if kind == 16:
        return np.array([r.choice([1.0, "a", None, 10**400, 1j]) for _ in range(3)], dtype=object)
    if kind == 17:
        return numbers.T
    if kind == 18:
        return np.sort(numbers, axis=0)
    if kind == 19:
        return numbers + r.choice([0, 1e9, 1e15, 1.7e18])
    if kind == 20:
        return np.broadcast_to(np.float64(r.choice([0, 1, np.nan])), shape)
    if kind == 21:
        return numbers.astype(">f8")[::-1]
    if kind == 22:
        return np.matrix(numbers) if len(shape) == 2 else memoryview(numbers)
    return plain_object(r)
