"""The contract's messages, as each library's documentation says to declare them.

Rules:

* A class has the fields of the contract and its tags; the contract is what documents them.
* Optional fields are None where the wire has nothing.
"""
