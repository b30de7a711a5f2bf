"""An extension whose fields are of many kinds, for tests of the command line."""

import enum
from datetime import datetime

from attrs import frozen

import tachikoma_proto as tp

vault = tp.Category("vault", topic="vaults")


class Lid(enum.Enum):
    OPEN = "open"
    SHUT = "shut"


@frozen(kw_only=True)
class Box:
    name: str
    code: str | None = tp.secret(default=None)


@vault.command("vault_fill", tag="fill")
@frozen(kw_only=True)
class FillVault(tp.Command[tp.AckResponse]):
    name: str
    count: tp.U32 = 0
    lid: Lid = Lid.OPEN
    sizes: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    due: datetime | None = None
    box: Box | None = None
    notes: tp.Json | None = None


@vault.event("opened")
@frozen(kw_only=True)
class VaultOpened(tp.Event):
    box: Box
