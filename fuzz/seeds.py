"""Write the fuzzer's first inputs: the vectors, and frames of an extension.

Usage: python fuzz/seeds.py DIRECTORY
"""

import json
import random
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from engine import generate  # noqa: E402

corpus = Path(sys.argv[1])
corpus.mkdir(parents=True, exist_ok=True)
source = random.Random(2)
registry = generate.extension(source)
frames = [
    (vector["side"], vector["frame"])
    for line in (ROOT / "tests" / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
    if len((vector := json.loads(line))["frame"]) < 4000
]
frames += generate.plain_frames(registry)
frames += [generate.frame(source, registry) for _ in range(500)]
for number, (side, text) in enumerate(frames):
    kind = (side == "server") + 4 * (number % 2)
    data = bytes([kind]) + text.encode(errors="surrogatepass")
    (corpus / f"{number:05}").write_bytes(data)
