"""Tasks whose first step runs at once.

Most handlers never wait: they look something up and return. An ordinary task for each would cost
more than the handler, since it first runs in a later turn of the event loop. Python 3.12 has eager
tasks. On 3.11 a real task is made, and its first step, which the constructor has scheduled, is
taken from the event loop and run. Stepping the coroutine by hand instead would be unsound: a
timeout inside would cancel the task that called.

Rules:

* It is a real task from its first step on: timeouts, cancellation and context variables mean what
  they mean in any task.
* Where an event loop does not allow it, an ordinary task takes its place.
"""

import asyncio
import sys
from asyncio import tasks
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

StartTask: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def eager_starter(loop: asyncio.AbstractEventLoop) -> StartTask:
    """Return what starts tasks in an event loop, at once where that is possible.

    Args:
        loop: The running event loop.
    """
    if loop.get_task_factory() is not None:
        return loop.create_task  # the factory of somebody else, who knows what it is for
    if sys.version_info >= (3, 12):

        def start_eagerly(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
            return asyncio.Task(coroutine, loop=loop, eager_start=True)

        return start_eagerly
    if not isinstance(loop, asyncio.BaseEventLoop) or not hasattr(loop, "_ready"):
        return loop.create_task

    ready = loop._ready

    def start(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.Task(coroutine, loop=loop)
        first_step = ready.pop()  # which the constructor has just scheduled
        outer = tasks.current_task(loop)
        if outer is None:
            first_step._run()
            return task
        tasks._leave_task(loop, outer)
        try:
            first_step._run()
        finally:
            tasks._enter_task(loop, outer)
        return task

    return start
