"""Count the words of texts and write the most frequent ones to files.

This is the node program: it runs on the nodes of a pool, or anywhere, with the folder
`word_counter` beside it. It needs the standard library of CPython 3.10 or newer and nothing else.
The contract (arguments, environment, output formats, exit codes) is in README.md beside it.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python itself puts this folder first, but not if it is isolated (`python3 -I`).
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from word_counter.main import main

    sys.exit(main())
