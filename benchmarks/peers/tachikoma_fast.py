"""tachikoma_proto with its accelerator (the extra ``fast``).

Rules:

* ``accelerated=True`` insists on the accelerator, so that it is not measured without.
"""

from benchmarks.contestant import Contestant, LeftOut
from benchmarks.peers.tachikoma import Tachikoma, has_accelerator
from tachikoma_proto import Codec


def make() -> Contestant:
    """Make the contestant.

    Raises:
        LeftOut: The library has no accelerator, or it is not installed.
    """
    if not has_accelerator():
        raise LeftOut("tachikoma_proto fast is left out: Codec has no parameter 'accelerated'")
    options = {"accelerated": True}
    try:
        codec = Codec(None, **options)
    except ImportError as error:
        raise LeftOut(f"tachikoma_proto fast is left out: {error}") from None
    note = "the same, with msgspec for what is surely right; all refusals are the converter's"
    return Tachikoma("tachikoma_proto fast", note, codec)
