"""Benchmarks: the codec beside other libraries that do the same work.

Rules:

* One command, ``python -m benchmarks``, measures everything in one process and writes the report.
* A contestant reads and writes the same frames, with the same types, the same unions and the
  same bounds. Where it cannot, it says so, and the report with it.
* Nothing is timed that was not checked first.
"""
