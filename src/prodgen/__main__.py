"""python -m prodgen: the command line where the `prodgen` program is not on the PATH."""

import sys

from prodgen.cli import main

sys.exit(main())
