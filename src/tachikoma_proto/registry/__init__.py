"""The registry: which messages there are, and the extensions that are installed."""
