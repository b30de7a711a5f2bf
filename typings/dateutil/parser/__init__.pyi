from collections.abc import Callable
from datetime import datetime, tzinfo

def parse(
    timestr: str, *, tzinfos: Callable[[str | None, int | None], tzinfo | None]
) -> datetime: ...
