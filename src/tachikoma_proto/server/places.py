"""Log records of what went wrong in a handler, without the secrets that it was given."""

import traceback


def places(error: BaseException) -> str:
    """Say what was raised and where, without the exception's own text.

    That text may hold what the handler was given, as that of ``KeyError(token)`` does.

    Args:
        error: The exception.
    """
    lines = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__qualname__}\n{lines.rstrip()}"
