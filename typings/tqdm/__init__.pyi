from types import TracebackType
from typing import Self, TextIO

class tqdm:
    def __init__(
        self, *, total: int | None, desc: str, unit: str, unit_scale: bool
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def update(self, n: float) -> bool | None: ...
    @classmethod
    def write(cls, s: str, *, file: TextIO) -> None: ...
