"""A generated home, repository and other places, and acts on them, for `test_same_decision`."""
