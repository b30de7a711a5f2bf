"""Local stubs of the parts of python-dateutil that the library uses."""
