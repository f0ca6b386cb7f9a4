"""Exit codes of the commands; `command_line` says when each is given."""

OK, FAILED, BAD_INPUT, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
