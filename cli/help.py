"""Help pages, made from the arguments that cyclopts reads from a command.

The printer of cyclopts imports rich, which takes longer than the rest of a help page.
"""

import inspect
import shutil
import textwrap
import typing
from collections.abc import Sequence
from typing import NamedTuple

from cyclopts import App
from cyclopts.argument import Argument

MAX_WIDTH, MAX_LABEL_WIDTH, MIN_DESCRIPTION_WIDTH = 80, 30, 20  # characters


class Entry(NamedTuple):
    """The name of a command, a flag or an argument, and its description."""

    label: str
    description: str


def page(cli: App, tokens: Sequence[str]) -> str:
    """Return the help of the command that the tokens name. Raises CycloptsError if unknown."""
    _, path, unknown = cli.parse_commands(tokens)
    command = path[-1]
    if command.default_command is None:
        if unknown:
            cli.parse_args(tokens, exit_on_error=False, print_error=False)
        return _joined(command, {"Commands": _commands(command)})
    arguments = command.assemble_argument_collection(parse_docstring=True)
    shown = [argument for argument in arguments if argument.show]
    panels = {
        "Arguments": [_argument(one) for one in shown if _is_positional(one)],
        "Parameters": [_argument(one) for one in shown if not _is_positional(one)],
    }
    return _joined(command, panels)


def _joined(command: App, panels: dict[str, list[Entry]]) -> str:
    # The docstring's list of arguments is shown at each argument instead.
    paragraphs = inspect.cleandoc(command.help).partition("\n\nArgs:\n")[0].split("\n\n")
    filled = [textwrap.fill(" ".join(lines.split()), _width()) for lines in paragraphs]
    parts = [str(command.usage), *filled, *(_panel(*one) for one in panels.items() if one[1])]
    return "\n\n".join(part.rstrip() for part in parts)


def _commands(command: App) -> list[Entry]:
    flags = [
        Entry(" ".join(command.help_flags), "Display this message and exit."),
        Entry(" ".join(command.version_flags), "Display application version."),
    ]
    known = {flag for entry in flags for flag in entry.label.split()}
    names = [name for name in command if name not in known]
    return [*(Entry(name, command[name].help.partition("\n\n")[0]) for name in names), *flags]


def _argument(argument: Argument) -> Entry:
    parts = [" ".join((argument.parameter.help or "").split())]
    choices, default = argument.get_choices(), argument.field_info.default
    if choices:
        parts.append(f"[choices: {', '.join(choices)}]")
    if str(default) not in ("None", "", "False") and default is not inspect.Parameter.empty:
        parts.append(f"[default: {default}]")
    if argument.required:
        parts.append("[required]")
    return Entry(_label(argument), " ".join(parts))


def _label(argument: Argument) -> str:
    """Return the names of an argument; a flag's are followed by the type of its value."""
    if _is_positional(argument):
        return argument.names[0].lstrip("-").upper()
    names = " ".join(dict.fromkeys([*argument.names, *argument.negatives]))
    if argument.is_flag():
        return names
    if argument.get_choices():
        return f"{names} CHOICE"
    kind = next(iter(typing.get_args(argument.hint)), argument.hint)
    return f"{names} {kind.__name__.upper()}"


def _is_positional(argument: Argument) -> bool:
    kinds = inspect.Parameter
    return argument.field_info.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.VAR_POSITIONAL) and (
        argument.index is not None
    )


def _width() -> int:
    return min(shutil.get_terminal_size().columns, MAX_WIDTH)


def _panel(title: str, entries: list[Entry]) -> str:
    left = min(max(len(entry.label) for entry in entries), MAX_LABEL_WIDTH) + 4
    width = max(_width() - left, MIN_DESCRIPTION_WIDTH)
    lines = [f"{title}:"]
    for label, description in entries:
        wrapped = textwrap.wrap(description, width, break_on_hyphens=False) or [""]
        head = f"  {label}"
        if len(head) > left - 2:
            lines.append(head)
            head = ""
        lines.append(f"{head:{left}}{wrapped[0]}".rstrip())
        lines += [" " * left + line for line in wrapped[1:]]
    return "\n".join(lines)
