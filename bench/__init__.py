"""Speed, as ratios to native and to direct, in one run: `python -m bench`."""
