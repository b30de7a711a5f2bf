"""The source in TypeScript, as far as it can be seen without a compiler."""

import re

from support.odd_messages import odd
from support.schemas import REGISTRIES

import tachikoma_proto as tp
from tachikoma_proto import schema

ODD = schema.typescript(tp.Registry([odd]))
BUILT_IN = schema.typescript(tp.Registry())


def definition(source: str, name: str) -> str:
    found = re.search(
        rf"^export (?:interface|type) {name}\b.*?^(?=\S.*\n?\n|}})", source, re.M | re.S
    )
    assert found, name
    return found[0]


def test_names_that_are_taken_have_the_category_before_them() -> None:
    for name in ("Error", "Subscription", "Promise", "string", "AckResponse"):
        assert f"export interface OddOne{name} {{" in ODD or f"export type OddOne{name} =" in ODD
    assert "export type MissionEvent =" in ODD
    assert "export interface OddOneMissionEvent {" in ODD


def test_no_name_is_exported_twice() -> None:
    for source in (ODD, BUILT_IN, schema.typescript(REGISTRIES["deploy"])):
        names = re.findall(r"^export (?:interface|type|class|function) (\w+)", source, re.M)
        assert len(names) == len(set(names))


def test_no_text_ends_a_comment() -> None:
    without_comments = re.sub(r"/\*.*?\*/|//[^\n]*", "", ODD, flags=re.S)
    assert "of text" not in without_comments
    assert "begins a tag" not in without_comments


def test_what_is_deprecated_is_marked_in_the_docs_of_its_type_and_command() -> None:
    assert ODD.count("@deprecated use something *\\/ else") == 2
    assert "@deprecated use nothing" in ODD


def test_a_record_that_is_sent_and_received_is_two_types() -> None:
    received, sent = definition(ODD, "Node"), definition(ODD, "NodeInput")
    assert "readonly weight: number;" in received
    assert "readonly children: readonly Node[];" in received
    assert "readonly weight?: number | undefined;" in sent
    assert "readonly children?: readonly NodeInput[] | undefined;" in sent
    assert "readonly node: NodeInput;" in definition(ODD, "Everything")
    assert "readonly node: Node;" in definition(ODD, "Every")


def test_a_command_goes_with_its_reply() -> None:
    commands = definition(BUILT_IN, "Commands")
    for declaration in tp.Registry():
        if declaration.kind.value == "command":
            assert declaration.reply is not None
            payload, reply = declaration.cls.__name__, declaration.reply.__name__
            line = f"{declaration.message_type}: {{ payload: {payload}; reply: {reply} }};"
            assert f"readonly {line}" in commands


def test_the_secrets_of_commands_are_known_to_the_client() -> None:
    assert '"shape": "Authenticate", "secrets": ["token"]' in BUILT_IN
    assert '"shape": "Everything", "secrets": ["secret"]' in ODD


def test_events_are_told_apart_by_literals() -> None:
    progress = definition(BUILT_IN, "MissionProgress")
    assert 'readonly category: "mission";' in progress
    assert 'readonly event: "progress";' in progress
    assert "readonly percentage: number;" in progress
