"""The accelerator: frames ⇄ messages by msgspec (the extra ``fast``), where that is surely right.

Rules:

* It may only say yes. What it does not accept, or is not sure of, goes to the converter, which
  gives the verdict and the error. What it accepts, the converter accepts with an equal result.
* It knows no message by name: everything is made from the registry's shapes, when it is first
  needed. A message with a field that it cannot be sure of is left to the converter.
* msgspec is laxer than the contract in some ways, and each is closed: see ``structs`` for what
  it is told to refuse, and ``marks`` and ``payloads`` for what is checked behind it.
"""

from tachikoma_proto.accelerator.accelerator import Accelerator

__all__ = ["Accelerator"]
