"""The entry of the command line: run a command, print errors, end with its status."""

import contextlib
import io
import os
import sys
import warnings
from pathlib import Path

from cli import commands, output, tools
from cli.help import page as help_page

STANDARD_INPUT = ":-"  # an address that means the same as -


def main() -> None:
    """Run the command line and exit.

    Status 0: done; 1: failed; 2: a wrong flag, value or path; 3: another worker was lost.
    """
    _silence_libraries()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold bytes that are not text
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    called = Path(sys.argv[0]).stem
    if called.startswith("athanor-"):
        arguments = [called.removeprefix("athanor-"), *arguments]
    status = _run(arguments)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    # TensorFlow needs most of a second to shut down, and all files are closed.
    os._exit(status)


def _silence_libraries() -> None:
    """Hide warnings of libraries, on which users cannot act, unless -W or --debug is given."""
    if not sys.warnoptions and "--debug" not in sys.argv:
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"  # for joblib's processes


def _run(arguments: list[str]) -> int:
    # Only the named app's fields are read: reading those of all apps would delay help.
    cli = commands.command_line(arguments[0] if arguments else "")
    arguments = output.with_current_names(arguments)
    if arguments[:1] != ["launch"]:
        # The parser takes a single - for an option.
        arguments = [STANDARD_INPUT if argument == "-" else argument for argument in arguments]
    try:
        output.require_app_first(arguments)
        help_flags = {"--help", "-h"} & set(arguments)
        if help_flags or not arguments:
            # Parsing a command that does not run would take a quarter of the time.
            page = help_page(cli, [one for one in arguments if one not in help_flags])
            with contextlib.suppress(BrokenPipeError):  # the reader has closed the pipe
                print(page, flush=True)
            return 0
        if arguments == ["--version"]:
            print(tools.version())
            return 0
        output.require_whole_numbers(arguments)
        if arguments[0] == "launch":
            arguments = output.delimited(arguments)
        elif config := output.config_of(arguments):
            cli.config = [config]
        cli(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments:
            raise
        status, message = output.explain(error, arguments)
        if message:
            print(f"athanor: {message}", file=sys.stderr)
        return status
    return 0


if __name__ == "__main__":
    main()
