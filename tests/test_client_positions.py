"""How far a client has each log."""

from tachikoma_proto.client.positions import Positions
from tachikoma_proto.messages.envelope import Position


def at(offset: int, epoch: str = "e1", topic: str = "missions") -> Position:
    return Position(topic=topic, epoch=epoch, offset=offset)


def test_a_position_never_goes_back_within_a_life() -> None:
    positions = Positions()
    assert positions.of("missions") is None
    positions.move(at(5))
    positions.move(at(3))
    assert positions.of("missions") == at(5)
    assert positions.has(at(5))
    assert not positions.has(at(6))
    assert not positions.has(at(1, topic="system"))


def test_events_of_an_earlier_life_do_not_come_twice() -> None:
    positions = Positions()
    positions.move(at(25))
    positions.move(at(3, "e2"))
    assert positions.of("missions") == at(3, "e2")
    positions.move(at(20))  # a server process that has yet to notice the new life
    assert positions.of("missions") == at(25)
    assert positions.has(at(22))
    assert not positions.has(at(26))
    assert not positions.has(at(4, "e2"))


def test_only_some_lives_are_remembered() -> None:
    positions = Positions()
    for number in range(100):
        positions.move(at(number + 1, f"e{number}"))
    assert positions.has(at(1, "e99"))
    assert positions.has(at(1, "e95"))
    assert not positions.has(at(1, "e1"))
