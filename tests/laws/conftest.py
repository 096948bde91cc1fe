"""How the laws are tried: derandomised, so that a failure in one run is a failure in all; ten times as long with `INTERLOCK_LONG=1`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = 3000 if os.environ.get("INTERLOCK_LONG") == "1" else 300

settings.register_profile(
    "laws",
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("laws")
