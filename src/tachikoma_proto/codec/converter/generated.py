"""Generated functions: source, put together line by line, with the values that it names.

Rules:

* Nothing that comes from a frame is ever in the source. It is made of field names, of message
  types and tags as Python writes them, and of values bound by name.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import attrs

from tachikoma_proto.wire.instances import twin_of

SPELLED: Final = 2.0**200
"""Numbers below it are written out in the source; all bounds of the wire are."""


class Code:
    """The source of one function, called ``function``."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._numbers = count()
        self._values: dict[str, Any] = {}

    def add(self, *lines: str) -> None:
        """Add lines, at the present depth."""
        self._lines += ["    " * self._depth + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add a line; what is added while the block lasts stands below it."""
        self.add(head)
        self._depth += 1
        yield
        self._depth -= 1

    @contextmanager
    def each(self, variable: str, container: str) -> Iterator[str]:
        """Make an array anew, item by item; what is added while it lasts finishes one item.

        Args:
            variable: The variable that holds the array, and gets the new one.
            container: The name of the new one's type.

        Yields:
            The variable that holds the item.
        """
        item, items = self.fresh("x"), self.fresh("l")
        self.add(f"{items} = []")
        with self.block(f"for {item} in {variable}:"):
            yield item
            self.add(f"{items}.append({item})")
        self.add(f"{variable} = {items if container == 'list' else f'{container}({items})'}")

    def default(self, cls: type[Any], name: str) -> str:
        """Give an expression for the default of a field, made anew where a factory makes it."""
        default: Any = attrs.fields_dict(cls)[name].default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            return f"{self.bind(default.factory)}()"
        return self.bind(default)

    def fresh(self, prefix: str) -> str:
        """Give a variable's name that was not used yet."""
        return f"{prefix}{next(self._numbers)}"

    def bind(self, value: Any) -> str:
        """Give the name by which the source may refer to a value."""
        if value is None or value is True or value is False:
            return str(value)
        name = self.fresh("v")
        self._values[name] = value
        return name

    def literal(self, number: float) -> str:
        """Give a number as source, which takes less time than to look it up by a name."""
        return repr(number) if abs(number) < SPELLED else self.bind(number)

    def construct(self, cls: type[Any], target: str, fields: dict[str, str]) -> None:
        """Make an instance of an attrs class.

        Args:
            cls: The class.
            target: The variable that gets it.
            fields: The expression for each field.
        """
        twin = twin_of(cls)
        if twin is None:
            arguments = ", ".join(f"{name}={value}" for name, value in fields.items())
            self.add(f"{target} = {self.bind(cls)}({arguments})")
            return
        self.add(f"{target} = {self.bind(twin)}()")
        self.add(*(f"{target}.{name} = {value}" for name, value in fields.items()))
        self.add(f"{target}.__class__ = {self.bind(cls)}")

    def function(self, names: dict[str, Any]) -> Callable[..., Any]:
        """Compile the function.

        Args:
            names: The values that the source refers to by names of its own.
        """
        namespace: dict[str, Any] = {**names, **self._values}
        exec("\n".join(self._lines), namespace)
        function: Callable[..., Any] = namespace["function"]
        return function


def maker_of(cls: type[Any]) -> Callable[..., Any]:
    """Generate a function that makes an instance of an attrs class of its fields, in order.

    Args:
        cls: The class, an envelope: no field is named as a variable of the function's own.
    """
    names = {attribute.name: attribute.name for attribute in attrs.fields(cls)}
    code = Code()
    with code.block(f"def function({', '.join(names)}):"):
        code.construct(cls, "made", names)
        code.add("return made")
    return code.function({})
