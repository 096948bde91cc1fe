"""`interlock completion`: a completion script made from the parsers themselves (shtab for bash and zsh, our own
words for fish).
"""

from __future__ import annotations

import argparse

SUMMARY = "print a completion script for bash, zsh or fish"
_EPILOG = """\
  bash:  interlock completion bash > ~/.local/share/bash-completion/completions/interlock
  zsh:   interlock completion zsh  > "${fpath[1]}/_interlock"
  fish:  interlock completion fish > ~/.config/fish/completions/interlock.fish"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="whose script to print")
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    from interlock.cli.parser import whole_parser

    parser = whole_parser()
    if arguments.shell == "fish":
        print(_fish(parser))
        return 0
    import shtab

    print(shtab.complete(parser, shell=arguments.shell))
    return 0


def _fish(parser: argparse.ArgumentParser) -> str:
    lines = ["# completion of interlock for fish, made by: interlock completion fish", "complete -c interlock -f"]
    for name, child in branches(parser).items():
        lines.append(f"complete -c interlock -n __fish_use_subcommand -a {name} -d {_quoted(child.description or '')}")
        lines += _fish_options(f"__fish_seen_subcommand_from {name}", child)
        for inner, grandchild in branches(child).items():
            lines.append(f"complete -c interlock -n '__fish_seen_subcommand_from {name}' -a {inner}")
            both = f"__fish_seen_subcommand_from {name}; and __fish_seen_subcommand_from {inner}"
            lines += _fish_options(both, grandchild)
    return "\n".join(lines)


def _fish_options(condition: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = []
    for action in parser._actions:
        long = [option[2:] for option in action.option_strings if option.startswith("--")]
        if not long:
            continue
        takes = " -r" if action.nargs is None else ""
        choices = f" -xa {_quoted(' '.join(map(str, action.choices)))}" if action.choices else takes
        lines.append(f"complete -c interlock -n '{condition}' -l {long[0]}{choices} -d {_quoted(action.help or '')}")
    return lines


def branches(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The subcommands of a parser, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
