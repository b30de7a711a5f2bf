"""tachikoma_proto without its engine: cattrs and the standard library alone."""

from benchmarks.contestant import Contestant
from benchmarks.peers.tachikoma import Tachikoma
from tachikoma_proto import Codec


def make() -> Contestant:
    """Make the contestant."""
    note = "a pure wheel: strict JSON reader and cattrs hooks; made to be read, not to be fast"
    return Tachikoma("tachikoma_proto, converter", note, Codec(accelerated=False))
