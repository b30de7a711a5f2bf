"""Brokers: where events go between the processes of a server.

Each is loaded when it is first used, with the package that it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tachikoma_proto.brokers.broker import (
        Batch as Batch,
        Broker as Broker,
        BrokerConnection as BrokerConnection,
        Deliver as Deliver,
        Gap as Gap,
    )
    from tachikoma_proto.brokers.memory import MemoryBroker as MemoryBroker
    from tachikoma_proto.brokers.nats import NatsBroker as NatsBroker
    from tachikoma_proto.brokers.redis import RedisBroker as RedisBroker
    from tachikoma_proto.messages.record import Record as Record

_HOME: Final = {
    "Batch": "brokers.broker",
    "Broker": "brokers.broker",
    "BrokerConnection": "brokers.broker",
    "Deliver": "brokers.broker",
    "Gap": "brokers.broker",
    "MemoryBroker": "brokers.memory",
    "NatsBroker": "brokers.nats",
    "RedisBroker": "brokers.redis",
    "Record": "messages.record",
}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # to which every name would be there otherwise, as Any

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"tachikoma_proto.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
