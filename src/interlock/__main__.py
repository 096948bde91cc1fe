"""`python -m interlock`: the same as the `interlock` command."""

from interlock.cli import program

if __name__ == "__main__":
    program()
