"""tachikoma_proto without its engine: cattrs and the standard library alone."""

from benchmarks.contestant import Contestant
from benchmarks.models.tachikoma_extension import deploy
from benchmarks.peers.tachikoma import Tachikoma
from tachikoma_proto import Codec, Registry


def make() -> Contestant:
    """Make the contestant."""
    note = "a pure wheel: strict JSON reader and cattrs hooks; made to be read, not to be fast"
    codec = Codec(Registry([deploy]), accelerated=False)
    return Tachikoma("tachikoma_proto, converter", note, codec)
