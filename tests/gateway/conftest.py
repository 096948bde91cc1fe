"""Makes `gateway_stage` importable beside the tests, and its fixture known."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gateway_stage import start  # noqa: F401
