"""`python -m jaxllc` is `jaxllc`."""

import sys

from jaxllc.commands.command_line import console

if __name__ == "__main__":
    sys.exit(console())
