"""Without the compiled engine there is nothing to test here, unless it is insisted upon."""

import os

import pytest

from tachikoma_proto.codec.engine.load import has_engine

collect_ignore_glob = [] if has_engine() or "TACHIKOMA_ENGINE" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def effort() -> int:
    """How much to try: 1, or more where ``TACHIKOMA_EFFORT`` asks for it."""
    return int(os.environ.get("TACHIKOMA_EFFORT", "1"))
