"""How mashumaro is made strict.

Rules:

* mashumaro converts (``int(value)``) unless it is told otherwise: ``serialization_strategy``, one
  for all classes, gives it functions that refuse what is of another type or out of bounds.
* Bounded numbers are ``NewType``, which a strategy can be given for.
"""

import math
from datetime import datetime
from typing import NewType

import orjson
from mashumaro.config import BaseConfig
from mashumaro.helper import pass_through

from benchmarks.bounds import F32_LIMIT, U32_MAX, U64_MAX

U32 = NewType("U32", int)
U64 = NewType("U64", int)
F32 = NewType("F32", float)


def _str(value: object) -> str:
    if type(value) is str:
        return value
    raise ValueError("not a str")


def _bool(value: object) -> bool:
    if type(value) is bool:
        return value
    raise ValueError("not a bool")


def _u32(value: object) -> int:
    if type(value) is int and 0 <= value <= U32_MAX:
        return value
    raise ValueError("not a u32")


def _u64(value: object) -> int:
    if type(value) is int and 0 <= value <= U64_MAX:
        return value
    raise ValueError("not a u64")


def _f32(value: object) -> float:
    if (type(value) is float or type(value) is int) and -F32_LIMIT < value < F32_LIMIT:
        return float(value)
    raise ValueError("not an f32")


def _f64(value: object) -> float:
    if (type(value) is float or type(value) is int) and math.isfinite(value):
        return float(value)
    raise ValueError("not an f64")


def _timestamp(value: object) -> datetime:
    if type(value) is str:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment
    raise ValueError("not a timestamp with an offset")


class Strict(BaseConfig):
    """The configuration of all classes."""

    omit_none = True
    orjson_options = orjson.OPT_UTC_Z
    serialization_strategy = {  # noqa: RUF012 (what mashumaro asks for)
        str: {"deserialize": _str},
        bool: {"deserialize": _bool},
        float: {"deserialize": _f64},
        U32: {"deserialize": _u32, "serialize": pass_through},
        U64: {"deserialize": _u64, "serialize": pass_through},
        F32: {"deserialize": _f32, "serialize": pass_through},
        datetime: {"deserialize": _timestamp, "serialize": pass_through},
    }
