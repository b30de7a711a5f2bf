from types import TracebackType
from typing import ClassVar, Self, TextIO

class tqdm:
    monitor_interval: ClassVar[int]
    n: float
    def __init__(
        self,
        *,
        total: int | None,
        desc: str = ...,
        unit: str = ...,
        unit_scale: bool = ...,
        position: int = ...,
        leave: bool = ...,
        dynamic_ncols: bool = ...,
        file: TextIO = ...,
        bar_format: str = ...,
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
    def set_description_str(self, desc: str, refresh: bool) -> None: ...
    def close(self) -> None: ...
    @classmethod
    def write(cls, s: str, *, file: TextIO) -> None: ...
