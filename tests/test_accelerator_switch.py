"""When a codec gets the accelerator, and what it does without msgspec."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("msgspec")


class TestSwitch:
    def test_it_comes_when_there_is_work_for_it(self) -> None:
        code = """
import sys, tachikoma_proto as tp
codec = tp.Codec()
for _ in range(15):
    codec.decode_command('{"type":"ping"}')
assert "msgspec" not in sys.modules
codec.decode_command('{"type":"ping"}')
assert "msgspec" in sys.modules
assert codec.decode_command('{"type":"ping"}').payload == tp.Ping()
assert '"payload":{"success":true}' in codec.encode(tp.AckResponse.ok())
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_without_msgspec(self) -> None:
        code = """
import sys
import tracemalloc
sys.modules["msgspec"] = None
import tachikoma_proto as tp
try:
    tp.Codec(accelerated=True)
except ImportError as error:
    assert "tachikoma-proto[fast]" in str(error)
else:
    raise AssertionError("insisted on, and not there")
codec = tp.Codec()
for _ in range(50):
    assert codec.decode_command('{"type":"ping"}').payload == tp.Ping()
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_with_a_msgspec_that_is_broken(self, tmp_path: Path) -> None:
        (tmp_path / "msgspec.py").write_text("raise ImportError('no such symbol')")
        code = f"""
import sys
import tracemalloc
sys.path.insert(0, {str(tmp_path)!r})
import tachikoma_proto as tp
codec = tp.Codec()
for _ in range(50):
    assert codec.decode_command('{{"type":"ping"}}').payload == tp.Ping()
"""
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_off_is_off(self) -> None:
        code = """
import sys, tachikoma_proto as tp
codec = tp.Codec(accelerated=False)
for _ in range(100):
    codec.decode_command('{"type":"ping"}')
assert "msgspec" not in sys.modules
"""
        subprocess.run([sys.executable, "-c", code], check=True)
