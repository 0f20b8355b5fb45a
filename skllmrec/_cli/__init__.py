"""The command line: one file or folder for each command, and one line in `_main.COMMANDS`."""
