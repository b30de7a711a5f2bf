"""hypothesis, or how to get it: the one place that imports it."""

try:
    from hypothesis import errors, given, settings, strategies
except ImportError as error:
    raise ImportError(
        "making up messages needs hypothesis: pip install 'tachikoma-proto[testing]'"
    ) from error

__all__ = ["errors", "given", "settings", "strategies"]
