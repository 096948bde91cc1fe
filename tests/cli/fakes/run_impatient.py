"""Runs the command line, all of it real, with a start that may take 3 seconds instead of 30."""

import sys

import interlock.host.loop
from interlock.cli import main

interlock.host.loop.START_SECONDS_MAX = 3.0
sys.exit(main())
