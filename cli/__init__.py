"""The command line: commands, options, help, output and errors."""
