"""The line: Action → Facts → decide → settle → record → enact → record, with everything impure behind a port."""
