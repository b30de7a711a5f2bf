"""The interface of a broker: a log for each topic, which all processes of a server share.

A broker is small on purpose. Reconnecting with backoff, batching, the outbox for what cannot be
stored yet, and the comparison of what arrives with what arrived before are the server's, written
once for all brokers.

Rules:

* A broker keeps one log for each topic and assigns the offsets: they grow by one, from 1. ``epoch``
  names one life of a log, and changes whenever the log may have lost anything.
* A ``BrokerConnection`` is one connection with all that belongs to it. It does not reconnect: what
  goes wrong raises ``BrokerError``, and the server makes another connection after a while.
* ``deliver`` is called in the event loop, with batches in the order of each log. A batch that the
  server has already, wholly or in part, does no harm; one that leaves something out is taken as a
  gap. So a connection need not prove that it is complete, but it must notice within seconds if its
  log has begun a new life.
* Records that cannot be read are None in their place: offsets count them, too.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeAlias

from attrs import define

from tachikoma_proto.messages.record import Record


@define
class Batch:
    """Records that follow each other in a log. Not changed once it is made.

    Attributes:
        topic: The log's topic.
        epoch: The life of the log; at most 64 ASCII characters.
        offset: The offset of the last record; 0 if the log is empty.
        records: The records, in order; None for one that cannot be read.
    """

    topic: str
    epoch: str
    offset: int
    records: tuple[Record | None, ...]


@define
class Gap:
    """Records of a log may be lost: it was trimmed, or has begun a new life.

    Attributes:
        topic: The log's topic.
    """

    topic: str


Deliver: TypeAlias = Callable[[Batch | Gap], None]
"""Takes in what a log holds now, in the order of the log."""


class BrokerConnection(ABC):
    """One connection to a broker; ``Broker.connect`` makes it.

    Attributes:
        max_record_size: How many bytes a record may have; None for any number. Larger ones are not
            appended: they could never be stored, and no other after them.
    """

    max_record_size: int | None = None

    @abstractmethod
    async def load(self, topic: str, limit: int) -> Batch:
        """Return the last records of a log; what follows them is delivered from then on.

        It is called for each topic before ``receive``, and again after a gap.

        Args:
            topic: The log's topic.
            limit: How many records at the most.

        Raises:
            BrokerError: The broker cannot be reached.
        """

    @abstractmethod
    def append(
        self, topic: str, records: Sequence[Record], *, producer: str, sequence: int
    ) -> Awaitable[None] | None:
        """Add records to a log.

        Args:
            topic: The log's topic.
            records: The records, in order; all of that topic.
            producer: Names who adds them, for as long as a process lives.
            sequence: The number of the first record among those that the producer adds to this
                log; the others follow by one. What is stored already, because an earlier attempt
                failed after it was, is not stored twice.

        Returns:
            What to await until the records are stored; None if they are.

        Raises:
            BrokerError: It is not known whether they were stored.
        """

    @abstractmethod
    def receive(self) -> Awaitable[None] | None:
        """Deliver what the logs get, until the connection is closed.

        Returns:
            What to await meanwhile; None if there is nothing to do, since the records are
            delivered by whoever appends them and the connection cannot be lost.

        Raises:
            BrokerError: The connection is lost.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the connection; never raises."""


class Broker(ABC):
    """Where events go between the processes of a server: the configuration of a connection."""

    @abstractmethod
    async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
        """Connect.

        Args:
            topics: The topics whose logs are wanted.
            deliver: Is called with what the logs get.

        Raises:
            BrokerError: The broker cannot be reached, or is not fit for its task.
        """
