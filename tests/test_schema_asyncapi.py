"""The AsyncAPI document: operations, replies, servers, and examples that are valid."""

from decimal import Decimal
from typing import Any

import attrs
import pytest
from attrs import frozen
from jsonschema import Draft7Validator
from support.schemas import REGISTRIES

import tachikoma_proto as tp
from tachikoma_proto import Category, Registry, schema


def described(name: str = "built-in", **options: Any) -> dict[str, Any]:
    return schema.asyncapi(REGISTRIES[name], **options)


@pytest.mark.parametrize("name", REGISTRIES)
def test_every_message_has_an_example_that_fits_its_schema(name: str) -> None:
    document = described(name)
    components = document["components"]
    for message in components["messages"].values():
        (example,) = message["examples"]
        whole = {**message["payload"], "components": components}
        Draft7Validator(whole).validate(example["payload"])


@pytest.mark.parametrize("name", REGISTRIES)
def test_every_example_is_read_by_the_codec(name: str) -> None:
    import json

    document = described(name)
    codec = tp.Codec(REGISTRIES[name], forbid_unknown_fields=True)
    for operation in document["operations"].values():
        key = operation["messages"][0]["$ref"].rpartition("/")[2]
        text = json.dumps(document["components"]["messages"][key]["examples"][0]["payload"])
        if operation["action"] == "receive":
            codec.decode_command(text)
        else:
            assert not isinstance(
                codec.decode_server_message(text).payload, (tp.UnknownEvent, tp.UnknownMessage)
            )


def test_a_command_is_answered_by_its_reply_or_the_error() -> None:
    operation = described()["operations"]["receiveStartMission"]
    assert operation["action"] == "receive"
    replies = [one["$ref"].rpartition("/")[2] for one in operation["reply"]["messages"]]
    assert replies == ["AckResponse", "ErrorResponse"]
    messages = described()["components"]["messages"]
    assert messages["StartMission"]["correlationId"]["location"] == "$message.payload#/id"
    assert messages["AckResponse"]["correlationId"]["location"] == "$message.payload#/reply_to"


def test_an_event_and_a_keepalive_are_sent() -> None:
    operations = described()["operations"]
    for key in ("sendMissionProgress", "sendPingKeepalive", "sendErrorResponse"):
        assert operations[key]["action"] == "send"
        assert "reply" not in operations[key]
    assert operations["receivePing"]["action"] == "receive"
    assert "reply" not in operations["receivePong"]
    assert "sendAckResponse" not in operations


def test_servers_are_those_given() -> None:
    assert "servers" not in described()
    servers = described(servers=["wss://a.example:1/ws/", "ws://[::1]:2"])["servers"]
    assert servers["server-1"]["host"] == "a.example:1"
    assert servers["server-1"]["pathname"] == "/ws"
    assert servers["server-1"]["protocol"] == "wss"
    assert servers["server-2"]["host"] == "[::1]:2"
    assert (
        "`token` of the first command"
        in (described()["components"]["securitySchemes"]["token"]["description"])
    )


@pytest.mark.parametrize("url", ["http://a", "a:1", "ws://", "ws://user:secret@a", ""])
def test_a_server_is_the_address_of_a_websocket(url: str) -> None:
    with pytest.raises(ValueError, match="address of a server") as caught:
        described(servers=[url])
    assert "secret" not in str(caught.value)


def test_where_no_example_is_known_there_is_none() -> None:
    category = Category("x")
    category.scalar(
        complex,
        wire=str,
        read=complex,
        write=str,
        expected="a complex number",
        schema={"pattern": "^[0-9]+j$"},
    )
    category.scalar(Decimal)

    @category.event("unknown")
    @frozen(kw_only=True)
    class Unknown(tp.Event):
        value: complex

    @category.event("known", deprecated="use unknown")
    @frozen(kw_only=True)
    class Known(tp.Event):
        value: Decimal
        few: tp.U32 = attrs.field(validator=[attrs.validators.ge(7), attrs.validators.le(9)])
        share: float = attrs.field(validator=attrs.validators.lt(0.0))

    messages = schema.asyncapi(Registry([category]))["components"]["messages"]
    assert "examples" not in messages["Unknown"]
    payload = messages["Known"]["examples"][0]["payload"]["payload"]
    assert payload["value"] == "12.5"
    assert payload["few"] == 7
    assert payload["share"] < 0
    assert "Deprecated: use unknown." in messages["Known"]["description"]
