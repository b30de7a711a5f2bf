"""``frozen``: attrs' decorator, for the classes that every process makes before its first frame.

For each class attrs writes ``__eq__``, ``__hash__`` and ``__repr__`` and compiles them, and makes
``__getstate__`` and ``__setstate__``. For the fifty classes from which messages are made and
declared, that is a sixth of the time to the first frame. Here one function of each kind serves them
all, and does what the generated ones do.

Rules:

* To a type checker it is ``attrs.frozen``, and at run time, too, but for these methods.
* Of the options of a field that concern them, ``repr``, ``eq`` and ``hash`` hold; no field has a
  function as ``eq``.
* A method that a class defines itself stays. So do those of extensions, which use attrs' own.
"""

from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final

import attrs

__all__ = ["frozen"]


def _equal(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return all(
        getattr(self, field.name) == getattr(other, field.name)
        for field in self.__attrs_attrs__
        if field.eq
    )


def _hash(self: Any) -> int:
    values = [
        getattr(self, field.name)
        for field in self.__attrs_attrs__
        if (field.eq if field.hash is None else field.hash)
    ]
    return hash((type(self), *values))


@recursive_repr("...")
def _repr(self: Any) -> str:
    shown = [
        f"{field.name}={(repr if field.repr is True else field.repr)(getattr(self, field.name))}"
        for field in self.__attrs_attrs__
        if field.repr
    ]
    return f"{type(self).__qualname__.rpartition('>.')[2]}({', '.join(shown)})"


def _get_state(self: Any) -> dict[str, Any]:
    return {field.name: getattr(self, field.name) for field in self.__attrs_attrs__}


def _set_state(self: Any, state: dict[str, Any]) -> None:
    for field in self.__attrs_attrs__:
        if field.name in state:
            object.__setattr__(self, field.name, state[field.name])


_SHARED: Final = {
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _repr,
    "__getstate__": _get_state,
    "__setstate__": _set_state,
}


if TYPE_CHECKING:
    from attrs import frozen
else:

    def frozen(cls: type | None = None, **options: Any) -> Any:
        """Make a frozen attrs class whose equality, hash, repr and state are not generated.

        Args:
            cls: The class; left out where options are given.
            options: As for ``attrs.frozen``.

        Returns:
            The class, or what makes it.
        """

        def decorate(cls: type) -> type:
            own = vars(cls)
            for name, method in _SHARED.items():
                if name not in own:
                    setattr(cls, name, method)
            return attrs.frozen(cls, eq=False, repr=False, getstate_setstate=False, **options)

        return decorate if cls is None else decorate(cls)
