"""Metrics that keep what they are told."""

import tachikoma_proto as tp


class Counting(tp.Metrics):
    def __init__(self) -> None:
        self.opened = self.closed = self.depth = 0
        self.received: list[int] = []
        self.sent: list[int] = []
        self.errors: list[str] = []
        self.close_codes: list[int] = []

    def session_opened(self) -> None:
        self.opened += 1

    def session_closed(self) -> None:
        self.closed += 1

    def frame_received(self, size: int) -> None:
        self.received.append(size)

    def frame_sent(self, size: int) -> None:
        self.sent.append(size)

    def frame_queued(self, depth: int) -> None:
        self.depth = depth

    def error(self, code: str) -> None:
        self.errors.append(code)

    def close_code(self, code: int) -> None:
        self.close_codes.append(code)
