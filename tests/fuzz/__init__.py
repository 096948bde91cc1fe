"""Each parser that a peer reaches, fed with mutated texts: short in `test_fuzz.py`, long by `python -m tests.fuzz`."""
