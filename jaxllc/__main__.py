"""`python -m jaxllc` is `jaxllc`."""

import sys

from jaxllc.command_line import main

if __name__ == "__main__":
    sys.exit(main())
