"""``completion``: the script that has a shell complete the command's arguments."""

import click
from click.shell_completion import get_completion_class

from tachikoma_proto.cli.options import CliError, one_of, subcommand

SHELLS = ("bash", "zsh", "fish")

_HELP = """Print the script that completes arguments in a shell.

Have the shell read it at its start, as in the examples.
"""


@subcommand(
    help=_HELP,
    short_help="Print the script that completes arguments in a shell.",
    examples=[
        "completion bash >> ~/.bashrc",
        "completion zsh >> ~/.zshrc",
        "completion fish > ~/.config/fish/completions/tachikoma-proto.fish",
    ],
    statuses={1: ""},
)
@click.argument("shell", **one_of(SHELLS))
def command(*, shell: str) -> int:
    """Print the script."""
    from tachikoma_proto.cli.app import COMPLETION_VARIABLE, PROGRAM, commands

    completion = get_completion_class(shell)
    if completion is None:
        raise CliError(f"there is no completion for {shell}")
    print(completion(commands, {}, PROGRAM, COMPLETION_VARIABLE).source())
    return 0
