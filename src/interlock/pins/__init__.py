"""What servers say that their tools are, held against what was taken once: pure."""
