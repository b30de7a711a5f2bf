#!/bin/sh
# Build the fuzzer with sanitizers, and run it: fuzz/run.sh [libFuzzer's options]
# It wants clang with its runtime. PYTHON is the interpreter with the library's requirements.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
OUT=${OUT:-build/fuzz}
mkdir -p "$OUT"
CONFIG="import sysconfig as s; v = s.get_config_var"
INCLUDE=$("$PYTHON" -c "$CONFIG; print(s.get_path('include'))")
LIBDIR=$("$PYTHON" -c "$CONFIG; print(v('LIBDIR'))")
LIBRARY=$("$PYTHON" -c "$CONFIG; print('python' + v('LDVERSION'))")
clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    -Wall -Wextra -Werror -I"$INCLUDE" fuzz/fuzz_engine.c src/tachikoma_proto/codec/engine/*.c \
    -L"$LIBDIR" -Wl,-rpath,"$LIBDIR" -l"$LIBRARY" -lm -o "$OUT/fuzz_engine"
PYTHONPATH="src:fuzz:$("$PYTHON" -c "import sys; print(':'.join(p for p in sys.path if p))")"
export PYTHONPATH
[ -d "$OUT/corpus" ] || "$PYTHON" fuzz/seeds.py "$OUT/corpus"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}" PYTHONMALLOC=malloc
exec "$OUT/fuzz_engine" "$OUT/corpus" -dict=fuzz/json.dict -max_len=3000 "$@"
