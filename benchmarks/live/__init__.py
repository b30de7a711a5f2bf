"""Benchmarks of the live part: servers on loopback, and publishing to many sessions.

Rules:

* One command, ``python -m benchmarks.live``, measures everything and writes the report.
* Every server has a process of its own, and the same driver asks all of them for the same work.
* A server's share in the time is told apart from the driver's: by its own processor time.
* Nothing is timed that was not checked first.
"""
