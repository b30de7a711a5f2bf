"""Declarations: what messages are made of, and how they are declared.

Bases, field types, :class:`~tachikoma_proto.declare.category.Category` with its decorators, and the
shapes that annotations become. This room is below the messages: the built-in ones are declared with
it just as those of an extension.
"""
