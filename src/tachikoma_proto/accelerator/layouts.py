"""Structs that are laid out as attrs classes, so that what msgspec made is given its real class.

Rules:

* CPython lets an object change its class where both add the same slots below the same base. A
  struct that is made with the base and the fields of an attrs class is such a one: what msgspec
  read into it becomes a message by one assignment, and nothing is copied.
* CPython is asked, once for each struct, and never told: where it says no, there is no such struct.
* It holds only where the constructor does nothing but set the fields, and where no base has a
  method that would be called while the object is a struct.
"""

from typing import Any, Final

from msgspec import Struct

from tachikoma_proto.instances import may_have_twin

_CALLED_ON_STRUCTS: Final = ("__post_init__", "__setattr__", "__delattr__", "__del__", "__class__")


def layout_base(cls: type[Any]) -> type[Any] | None:
    """Find the class below which an attrs class has its slots.

    Args:
        cls: The class.

    Returns:
        The base that a struct has to have to be laid out alike; None if that is of no use, since
        the class is to be made by its constructor.
    """
    if not may_have_twin(cls):
        return None
    owner = cls
    while owner.__base__ is not None and owner.__base__.__basicsize__ == owner.__basicsize__:
        owner = owner.__base__
    base = owner.__base__
    inherited = () if base is None else base.__mro__[:-1]
    return None if any(n in vars(c) for c in inherited for n in _CALLED_ON_STRUCTS) else base


def can_become(made: type[Struct], cls: type[Any]) -> bool:
    """Tell whether an instance of a struct may be given an attrs class as its class."""
    instance = made(**dict.fromkeys(made.__struct_fields__))
    try:
        instance.__class__ = cls
    except TypeError:  # other slots, or another base
        return False
    return True
