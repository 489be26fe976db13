"""``python -m streamix_queue`` is the `streamix` command."""

import sys

from streamix_queue.cli import main

if __name__ == "__main__":
    sys.exit(main())
