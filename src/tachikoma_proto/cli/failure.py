"""What the person at the command line is told when a subcommand cannot go on."""


class CommandError(Exception):
    """The command could not be carried out; its text says why, without any secret."""
