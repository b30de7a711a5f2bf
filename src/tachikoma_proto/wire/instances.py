"""Making instances of frozen attrs classes without the cost of their constructors.

Rules:

* A frozen class sets each field through a call, which takes most of the time of making a
  message. Its *twin* derives from it, adds nothing, and takes plain assignments; when its fields
  are set, the instance is given the real class. What comes out is no different.
* This holds only where the constructor does nothing but set the fields. Other classes are made
  by their constructor.
"""

from typing import Any, Generic

import attrs


def twin_of(cls: type[Any]) -> type[Any] | None:
    """Make the twin of a frozen attrs class.

    Args:
        cls: The class.

    Returns:
        A class whose instances may be given ``cls`` as their class once all fields are set; None
        if the constructor does more than that.
    """
    return plain_twin(cls) if may_have_twin(cls) else None


def may_have_twin(cls: type[Any]) -> bool:
    """Tell whether the constructor of a class does nothing but set fields, of which it has some."""
    return (
        not _constructor_does_more(cls) and not _watches_subclasses(cls) and attrs.fields(cls) != ()
    )


def plain_twin(cls: type[Any]) -> type[Any]:
    """Make a class that is laid out as another and whose instances take plain assignments.

    Args:
        cls: The class; it has slots for what it holds.
    """
    names = ("__init__", "__setattr__", "__delattr__")
    return type(f"_{cls.__name__}", (cls,), {"__slots__": ()} | {n: vars(object)[n] for n in names})


def _constructor_does_more(cls: type[Any]) -> bool:
    hooks = ("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__")
    props = attrs.inspect(cls)
    return (
        not props.is_slotted
        or not props.is_frozen
        or any(hasattr(cls, hook) for hook in hooks)
        or "__new__" in {name for base in cls.__mro__[:-1] for name in vars(base)}
        or any(a.validator or a.converter or not a.init for a in attrs.fields(cls))
        or "_attrs_cached_hash" in getattr(cls, "__slots__", ())
    )


def _watches_subclasses(cls: type[Any]) -> bool:
    bases = [base for base in cls.__mro__[:-1] if base is not Generic]
    return type(cls) is not type or any("__init_subclass__" in vars(base) for base in bases)
