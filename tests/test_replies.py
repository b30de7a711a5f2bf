"""The response that answers a command: found through generic bases, or refused when declared."""

import sys
from typing import Any, Generic, Never, NewType, Optional, TypeVar, Union

import attrs
import pytest
from attrs import frozen

import tachikoma_proto as tp

R = TypeVar("R", bound=tp.Response)
S = TypeVar("S", bound=tp.Response)
T = TypeVar("T")


@frozen(kw_only=True)
class DeployResult(tp.Response):
    deploy_id: str = ""


@frozen(kw_only=True)
class OtherResult(tp.Response):
    deploy_id: str = ""


@frozen(kw_only=True)
class Undeclared(DeployResult):
    """In no category."""


@frozen(kw_only=True)
class GenericResult(tp.Response, Generic[T]):
    value: int = 0


class DeployCommand(tp.Command[R]):
    __slots__ = ()


class Narrower(DeployCommand[S]):
    __slots__ = ()


class Fixed(tp.Command[DeployResult]):
    __slots__ = ()


class WithMore(tp.Command[R], Generic[T, R]):
    __slots__ = ()


class Mixin(Generic[T]):
    __slots__ = ()


class Mixed(Mixin[T], DeployCommand[S]):
    __slots__ = ()


class One(DeployCommand[DeployResult]):
    __slots__ = ()


class Two(Narrower[DeployResult]):
    __slots__ = ()


class Different(DeployCommand[OtherResult]):
    __slots__ = ()


def reply_of(*bases: Any) -> object:
    command = attrs.make_class("StartDeploy", {}, bases=bases, frozen=True, kw_only=True)
    category = tp.Category("deploy")
    category.command("deploy_start")(command)
    category.response("deploy_result")(DeployResult)
    category.response("other_result")(OtherResult)
    declaration = tp.Registry([category]).declaration_of(command)
    assert declaration is not None
    return declaration.reply


@pytest.mark.parametrize(
    "bases",
    [
        (tp.Command[DeployResult],),
        (tp.Command["DeployResult"],),
        (DeployCommand[DeployResult],),
        (DeployCommand["DeployResult"],),
        (Narrower[DeployResult],),
        (Fixed,),
        (WithMore[int, DeployResult],),
        (Mixed[int, DeployResult],),
        (One, Two),
        (tp.Command[NewType("Result", DeployResult)],),  # type: ignore[misc]
    ],
    ids=str,
)
def test_the_reply_of_a_command_is_found_through_its_bases(bases: Any) -> None:
    assert reply_of(*bases) is DeployResult


@pytest.mark.parametrize(
    ("bases", "text"),
    [
        ((tp.Command[None],), "StartDeploy names nothing as its response"),  # type: ignore[type-var]
        ((tp.Command[Never],), "StartDeploy names nothing as its response"),
        ((tp.Command,), "StartDeploy names nothing as its response"),
        ((DeployCommand,), "StartDeploy names no response class: ~R"),
        ((tp.Command[Any],), "StartDeploy names no response class: "),
        ((tp.Command[int],), "StartDeploy names no response class: int"),  # type: ignore[type-var]
        ((tp.Command[tp.MissionStarted],), "names no response class: MissionStarted"),  # type: ignore[type-var]
        ((tp.Command[Union[DeployResult, OtherResult]],), "names no response class: "),
        ((tp.Command[Optional[DeployResult]],), "names no response class: "),  # type: ignore[type-var] # noqa: UP045
        ((tp.Command[GenericResult[int]],), "names no response class: "),
        ((tp.Command["Nowhere"],), "the name 'Nowhere' in an annotation is not found"),  # type: ignore[name-defined]
        ((One, Different), "StartDeploy names DeployResult and OtherResult as its response"),
        ((tp.Command[Undeclared],), "StartDeploy is answered by Undeclared, which no category"),
        ((tp.Command[tp.Response],), "StartDeploy is answered by Response, which no category"),
    ],
    ids=str,
)
def test_a_command_without_a_reply_that_a_category_holds_is_refused(bases: Any, text: str) -> None:
    with pytest.raises(tp.RegistryError) as caught:
        reply_of(*bases)
    assert text in str(caught.value)


def test_a_keepalive_is_answered_by_nothing() -> None:
    from tachikoma_proto.declare.declarations import Sender

    @frozen(kw_only=True)
    class Nudge(tp.Command):  # type: ignore[type-arg]
        """Bare."""

    category = tp.Category("x")
    category.keepalive("nudge", sender=Sender.CLIENT)(Nudge)
    declaration = tp.Registry([category]).declaration_of(Nudge)
    assert declaration is not None
    assert declaration.reply is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with Python 3.12")
def test_the_reply_of_a_command_is_found_through_type_parameters_and_aliases() -> None:
    names = dict(globals())
    exec(
        "class First[A: tp.Response](tp.Command[A]): __slots__ = ()\n"
        "class Second[X, A: tp.Response](First[A]): __slots__ = ()\n"
        "type Result = DeployResult\n"
        "type Same[A] = A\n",
        names,
    )
    for text in (
        "First[DeployResult]",
        "Second[int, DeployResult]",
        "tp.Command[Result]",
        "tp.Command[Same[DeployResult]]",
    ):
        assert reply_of(eval(text, names)) is DeployResult


@pytest.mark.skipif(sys.version_info < (3, 13), reason="defaults came with Python 3.13")
def test_the_reply_of_a_command_may_be_the_default_of_a_type_parameter() -> None:
    names = dict(globals())
    exec("class First[A: tp.Response = DeployResult](tp.Command[A]): __slots__ = ()", names)
    assert reply_of(names["First"]) is DeployResult
    with pytest.raises(tp.RegistryError, match="answered by Undeclared"):
        reply_of(names["First"][Undeclared])
