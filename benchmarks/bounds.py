"""The bounds of the wire's numbers, for contestants that have to be told.

Rules:

* They are written out here, not taken from the library that is measured.
"""

from typing import Final

U32_MAX: Final = 2**32 - 1
"""The largest ``u32``."""

U64_MAX: Final = 2**64 - 1
"""The largest ``u64``."""

F32_LIMIT: Final = 2.0**128 - 2.0**103
"""Every ``f32`` lies between ``-F32_LIMIT`` and ``F32_LIMIT``, neither included."""
