"""Experiments: a folder for each, run as ``python -m experiments.<name>``."""

import sys

if not __debug__:  # icl_models refuses it; here, where a command line begins, in one line
    try:
        import icl_models  # noqa: F401
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
