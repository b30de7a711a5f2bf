"""Declarations hand classes back with their own types, and extend what dispatch infers."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, NewType, assert_type
from uuid import UUID

from attrs import frozen

from tachikoma_proto import (
    F32,
    U32,
    U64,
    AckResponse,
    Category,
    Command,
    Dispatcher,
    Event,
    IntRange,
    Registry,
    Response,
    secret,
)

deploy = Category("deploy", topic="deploys", key="deploy_id")
deploy.scalar(Decimal, wire=str, read=Decimal, write=str, expected="a decimal")


@deploy.response("deploy_status")
@frozen(kw_only=True)
class DeployStatus(Response):
    deploy_id: UUID
    count: U32 = 0


@deploy.command("deploy_start", tag="start", public=True)
@frozen(kw_only=True)
class StartDeploy(Command[DeployStatus]):
    cost: Decimal
    count: U64
    share: F32


@deploy.event("started")
@frozen(kw_only=True)
class DeployStarted(Event):
    deploy_id: UUID


Region = NewType("Region", str)
Percent = NewType("Percent", int)


@frozen(kw_only=True)
class Login(Command[AckResponse]):
    token: str = secret()
    old_token: str | None = secret(default=None)
    region: Region
    share: Annotated[Percent, IntRange("percent", 0, 100)] = Percent(0)


def a_secret_field_without_a_default_is_required(region: Region) -> None:
    login = Login(token="t", region=region)
    assert_type(login.token, str)
    assert_type(login.old_token, str | None)
    assert_type(login.region, Region)
    assert_type(login.share, Percent)
    Login(region=region)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Login(token=1, region=region)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Login(token="t", region="eu")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def scalars_are_ready_made_or_say_how_they_are_read_and_written(category: Category) -> None:
    category.scalar(Decimal)
    category.scalar(date)
    category.scalar(timedelta)
    category.scalar(Region, wire=str, read=Region, write=str, expected="a region")
    category.scalar(set[str], wire=str, read=set, write="".join, expected="letters")
    category.scalar(
        bytes,
        wire=int,
        read=bytes.fromhex,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        write=lambda value: len(value),
        expected="bytes",
    )
    category.scalar(bytes, wire=str)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def classes_come_back_as_they_were(command: type[StartDeploy]) -> None:
    assert_type(deploy.command("a")(StartDeploy), type[StartDeploy])
    assert_type(deploy.event("a")(DeployStarted), type[DeployStarted])
    assert_type(deploy.response("a")(DeployStatus), type[DeployStatus])
    assert_type(StartDeploy(cost=Decimal(1), count=1, share=0.5), StartDeploy)


def fields_are_what_was_written(command: StartDeploy, status: DeployStatus) -> None:
    assert_type(command.cost, Decimal)
    assert_type(command.count, int)
    assert_type(command.share, float)
    assert_type(status.deploy_id, UUID)


async def the_reply_is_that_of_the_extension(command: StartDeploy) -> None:
    assert_type(await Dispatcher[None]().dispatch(command, None), DeployStatus)


def registries_take_categories() -> None:
    assert_type(Registry([deploy]), Registry)
    Registry([StartDeploy])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def an_event_is_no_command() -> None:
    deploy.command("a")(DeployStarted)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


def a_command_is_no_event() -> None:
    deploy.event("a")(StartDeploy)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


def a_reply_is_a_response() -> type:
    class Wrong(Command[DeployStarted]):  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeArguments]
        """An event answers nothing."""

    return Wrong


def a_scalar_reads_what_the_wire_has() -> None:
    deploy.scalar(Decimal, wire=int, read=len, write=str, expected="a decimal")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def the_handler_of_an_extension() -> None:
    dispatcher: Dispatcher[None] = Dispatcher()

    @dispatcher.handler(StartDeploy)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    async def handle(command: StartDeploy, context: None) -> AckResponse:
        return AckResponse.ok()
