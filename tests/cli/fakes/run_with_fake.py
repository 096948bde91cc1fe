"""Runs the command line with the scripted supervisor in place of the real one."""

import os
import sys

import interlock.app.run
from interlock.cli import main

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervisor.py")
interlock.app.run.find_supervisor = lambda: FAKE
sys.exit(main())
