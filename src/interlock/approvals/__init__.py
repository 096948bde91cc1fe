"""Questions that wait for a human, and their answers: one inbox for both planes, and the channels that show it."""
