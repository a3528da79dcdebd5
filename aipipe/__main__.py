"""`python -m aipipe` is the same program as `aipipe`."""

import sys

from aipipe.cli import main

sys.exit(main())
