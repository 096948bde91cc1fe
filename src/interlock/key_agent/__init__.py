"""The session's key agent, where the keys are: what programs ask for, read; who would have it, found out; and the
person's own agent, which signs (`spec/keys.md`). It decides nothing."""
