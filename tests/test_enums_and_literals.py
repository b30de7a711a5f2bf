"""Enums, flags and literals: by the public value of each member, whatever the enum defines."""

import enum
import sys
from typing import Any, Literal, NewType

import pytest
from support.every_path import Declared, check_every_path

import tachikoma_proto as tp


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class AllEqual(enum.Enum):
    ONE = "one"
    TWO = "two"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AllEqual)

    def __hash__(self) -> int:
        return 1


class WithoutHash(enum.Enum):
    ONE = "one"
    TWO = "two"

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


class EqualIntegers(enum.IntEnum):
    ONE = 1
    TWO = 2

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class ValueOfItsOwn(enum.Enum):
    ONE = ("one", 1)
    TWO = ("two", 2)

    @property
    def value(self) -> str:  # type: ignore[override]
        return str(self._value_[0])


class NumberForText(str, enum.Enum):  # noqa: UP042 - a StrEnum could not hold the value
    ONE = "one"

    @property
    def value(self) -> int:  # type: ignore[override]
        return 7


class SeveralValues(enum.Enum):
    ONE = "one", 1
    TWO = "two", 2

    def __new__(cls, value: str, _: int) -> "SeveralValues":
        member = object.__new__(cls)
        member._value_ = value
        return member


class Aliases(enum.Enum):
    ONE = 1
    UNO = 1  # noqa: PIE796 - an alias
    YES = True
    TWO = 2


class OwnText(str, enum.Enum):  # noqa: UP042 - what is written in many code bases
    A = "a"
    B = ""

    def __str__(self) -> str:
        return "never this"

    def __bool__(self) -> bool:
        return False


class Automatic(enum.StrEnum):
    SMALL = enum.auto()
    LARGE = enum.auto()


class Signed(enum.IntEnum):
    DOWN = -1
    UP = 1


class Access(enum.Flag):
    NONE = 0
    READ = 1
    WRITE = 2
    BOTH = 3


class IntAccess(enum.IntFlag):
    READ = 1
    WRITE = 2
    BOTH = 3


class Kept(enum.Flag, boundary=enum.KEEP):
    READ = 1
    WRITE = 2


@pytest.mark.parametrize(
    ("kind", "pairs"),
    [
        (Color, [("red", Color.RED), ("blue", Color.BLUE)]),
        (AllEqual, [("one", AllEqual.ONE), ("two", AllEqual.TWO)]),
        (WithoutHash, [("one", WithoutHash.ONE), ("two", WithoutHash.TWO)]),
        (EqualIntegers, [(1, EqualIntegers.ONE), (2, EqualIntegers.TWO)]),
        (ValueOfItsOwn, [("one", ValueOfItsOwn.ONE), ("two", ValueOfItsOwn.TWO)]),
        (NumberForText, [(7, NumberForText.ONE)]),
        (SeveralValues, [("one", SeveralValues.ONE)]),
        (Aliases, [(1, Aliases.ONE), (1, Aliases.UNO), (1, Aliases.YES), (2, Aliases.TWO)]),
        (OwnText, [("a", OwnText.A), ("", OwnText.B)]),
        (Automatic, [("small", Automatic.SMALL), ("large", Automatic.LARGE)]),
        (Signed, [(-1, Signed.DOWN), (1, Signed.UP)]),
        (Access, [(0, Access.NONE), (2, Access.WRITE), (3, Access.READ | Access.WRITE)]),
        (IntAccess, [(1, IntAccess.READ), (3, IntAccess.BOTH)]),
        (Kept, [(1, Kept.READ), (2, Kept.WRITE)]),
        (Literal["a", 1], [("a", "a"), (1, 1)]),
        (Literal[0, 1], [(0, 0), (1, 1)]),
        (Literal[""], [("", "")]),
        (NewType("Paint", Color), [("red", Color.RED)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_members_of_an_enum_are_read_and_written_by_their_value(
    kind: Any, pairs: list[tuple[Any, Any]]
) -> None:
    check_every_path(kind, pairs)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="which came with Python 3.13")
def test_an_alias_of_an_enum_value_is_not_read_and_the_value_is() -> None:
    class Several(enum.Enum):
        ONE = "one"

        def __init__(self, value: str) -> None:
            self._add_value_alias_(value + "!")  # type: ignore[attr-defined,unused-ignore]
            self._add_alias_("UNO")  # type: ignore[attr-defined,unused-ignore]

    check_every_path(Several, [("one", Several.ONE)])


class Floats(enum.Enum):
    HALF = 0.5


class Booleans(enum.Enum):
    YES = True


class Unhashable(enum.Enum):
    LIST = []  # type: ignore[var-annotated] # noqa: RUF012 - the value is what is refused
    DICT = {}  # type: ignore[var-annotated] # noqa: RUF012


class OfAnotherEnum(enum.Enum):
    UP = Signed.UP


class TooBig(enum.IntEnum):
    BIG = 2**64


class Surrogate(enum.Enum):
    LONE = "\ud800"


class NoMembers(enum.Enum):
    """Without members."""


class SameValue(enum.Enum):
    ONE = 1
    TWO = 2

    @property
    def value(self) -> str:  # type: ignore[override]
        return "same"


class NoValue(enum.Enum):
    ONE = "one"

    @property
    def value(self) -> str:
        raise RuntimeError("none today")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Floats, "strings or integers of 64 bits, which Floats is not; declare the enum with"),
        (Booleans, "strings or integers of 64 bits, which Booleans is not"),
        (Unhashable, "strings or integers of 64 bits, which Unhashable is not"),
        (OfAnotherEnum, "strings or integers of 64 bits, which OfAnotherEnum is not"),
        (TooBig, "strings or integers of 64 bits, which TooBig is not"),
        (Surrogate, "strings or integers of 64 bits, which Surrogate is not"),
        (NoMembers, "strings or integers of 64 bits, which NoMembers is not"),
        (SameValue, "two members of SameValue have the same value on the wire; give each its own"),
        (NoValue, "the value of a member of NoValue cannot be had: RuntimeError('none today')"),
        (Literal[True], "True and False as bool"),
        (Literal["a", None], "write a literal None as | None"),
        (Literal[Color.RED], "strings or integers of 64 bits"),
        (Literal[b"a"], "strings or integers of 64 bits"),
        (Literal[2**64], "strings or integers of 64 bits"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_enum_that_has_no_text_or_integer_for_each_member_is_refused(
    kind: Any, text: str
) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        Declared(kind)
    assert text in str(caught.value)


def test_a_combination_of_flags_without_a_name_is_not_written() -> None:
    class Unnamed(enum.Flag):
        READ = 1
        WRITE = 2

    declared = Declared(Unnamed)
    for codec in declared.codecs:
        with pytest.raises(tp.EncodeError, match=r"\$\.payload\.v: expected a member of "):
            codec.encode(declared.response(v=Unnamed.READ | Unnamed.WRITE))
        with pytest.raises(tp.EncodeError, match=r"\$\.payload\.v: expected a member of "):
            codec.encode(declared.response(v=Unnamed(0)))


def test_an_enum_is_declared_as_a_scalar_to_say_what_stands_for_its_members() -> None:
    def by_name(category: tp.Category) -> None:
        category.scalar(
            Floats,
            wire=str,
            read=Floats.__getitem__,
            write=lambda member: member.name,
            expected="the name of a float",
        )

    from hypothesis import strategies as st

    check_every_path(
        Floats, [("HALF", Floats.HALF)], scalars=by_name, types={Floats: st.just(Floats.HALF)}
    )


def test_an_enum_without_a_hash_may_be_a_default() -> None:
    import attrs
    from support.one_field import codec_of, message_of, read

    cls = message_of(WithoutHash, WithoutHash.ONE)
    assert read(cls, {}).v is WithoutHash.ONE
    assert '"v":"one"' in codec_of(cls).encode(cls())
    assert attrs.fields(cls).v.default is WithoutHash.ONE
