"""Making instances of frozen attrs classes without the cost of their constructors.

Rules:

* A frozen class sets each field through a call, which takes most of the time of making a
  message. A *twin* has the same base and the same slots, but takes plain assignments; when its
  fields are set, the instance is given the real class. What comes out is no different.
* This holds only where the constructor does nothing but set the fields. Other classes, and those
  whose layout differs, are made by their constructor.
"""

from typing import Any

import attrs


def twin_of(cls: type[Any]) -> type[Any] | None:
    """Make the twin of a frozen attrs class.

    Args:
        cls: The class.

    Returns:
        A class whose instances may be given ``cls`` as their class once all fields are set; None
        if the constructor does more than that, or the layouts differ.
    """
    if _constructor_does_more(cls) or not attrs.fields(cls):
        return None
    twin: type[Any] = type(
        f"_{cls.__name__}",
        cls.__bases__,
        {
            "__slots__": vars(cls).get("__slots__", ()),
            "__orig_bases__": vars(cls).get("__orig_bases__", ()),
            "__init__": object.__init__,
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,
        },
    )
    try:
        twin().__class__ = cls
    except TypeError:
        return None
    return twin


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
