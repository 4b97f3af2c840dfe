"""How hypothesis looks for examples."""

import os

from hypothesis import configuration, settings

from tests.support.node_program import ROOT

# Even without a database it writes what it has read of the project, as soon as tests are collected.
configuration.set_hypothesis_home_dir(ROOT / ".pytest_cache" / "hypothesis")

quickly = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "150")),
    derandomize=True,
    database=None,
    deadline=None,
)
