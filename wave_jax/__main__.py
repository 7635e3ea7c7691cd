"""The command line as `python -m wave_jax`, where the command `wave-jax` is not at hand."""

import sys

from wave_jax.cli.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
