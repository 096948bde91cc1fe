"""What a session changed that something outside would run: listed by object and by what it is, whatever name was used, and whatever else was made
to hide it.

The judge reads the list of the session's record, as `interlock session changes` gives it.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from interlock.vocabulary.printable import text_of
from tests.escapes.arena import Arena

Listed = dict[str, dict]


def changes(arena: Arena) -> dict:
    done = arena.run(arena.python.parent / "interlock", "session", "changes", "--json")
    assert done.code == 0, done.errors
    return json.loads(done.output)


def listed(arena: Arena) -> Listed:
    """What is listed, by path, in the workspace or from the root."""
    return {text_of(item["path"]).removeprefix(f"{arena.work}/"): item for item in changes(arena)["changes"]}


def play(arena: Arena, script: str, preset: str = "coding-agent") -> Listed:
    arena._own()
    done = arena.held("sh", "-c", script, preset=preset)
    assert done.code == 0, done.errors
    return listed(arena)


@pytest.fixture
def made(arena: Arena) -> Arena:
    (arena.work / "Makefile").write_text("all:\n\ttrue\n")
    return arena


def test_an_object_is_listed_by_its_own_name_whatever_name_was_used(made: Arena) -> None:
    found = play(made, "ln Makefile .x && echo evil >> .x && rm .x")
    assert (found["Makefile"]["kind"], found["Makefile"]["how"]) == ("make", ["changed"])


def test_a_name_that_was_there_before_is_the_object_as_well(made: Arena) -> None:
    os.link(made.work / "Makefile", made.work / "notes")
    found = play(made, "echo evil >> notes && rm notes")
    assert found["Makefile"]["kind"] == "make"


def test_a_thousand_names_made_and_removed_hide_nothing(made: Arena) -> None:
    # In one process: what the list is to get over is the names, not as many starts of `mv`.
    names = "import os\nfor i in range(1500): open('Makefile', 'w').close(); os.rename('Makefile', f'{i}.mk')"
    script = f'mkdir d && cd d && /usr/bin/python3 -c "{names}" && rm *.mk; cd .. && echo evil >> Makefile'
    assert "Makefile" in play(made, script)


def test_names_that_sort_first_do_not_hide_what_is_dangerous(arena: Arena) -> None:
    arena._own()
    script = "for i in $(seq 40); do mkdir a$i; echo '{\"scripts\": {\"test\": \"x\"}}' > a$i/package.json; done; git init -q . ; git config core.fsmonitor ./evil"
    done = arena.held("sh", "-c", script, preset="observe")
    short = done.errors.partition("would run later")[2].splitlines()[1:]
    assert ".git/config (core.fsmonitor = ./evil)" in short[0], done.errors
    assert "and 37 more" in done.errors
    found = listed(arena)
    assert found[".git/config"]["keys"] == {"core.fsmonitor": "./evil"}
    assert changes(arena)["counts"]["package-scripts"] == 40


def test_the_keys_that_were_changed_are_named_and_those_that_run_nothing_are_not(arena: Arena) -> None:
    subprocess.run(["git", "init", "-q", arena.work], check=True)
    subprocess.run(["git", "config", "-f", arena.work / ".git" / "config", "alias.old", "!true"], check=True)
    (arena.work / "package.json").write_text('{"name": "x", "scripts": {"build": "true"}}')
    script = (
        "git config user.name somebody; git config alias.st '!sh evil'; git config include.path ../more;"
        'echo \'{"name": "y", "scripts": {"build": "true", "test": "evil"}}\' > package.json'
    )
    found = play(arena, script, preset="observe")  # coding-agent would ask about these keys
    assert found[".git/config"]["keys"] == {"alias.st": "!sh evil", "include.path": "../more"}
    assert found["package.json"]["keys"] == {"name": "y", "scripts.test": "evil"}


@pytest.mark.parametrize(
    "now",
    [
        {"scripts": {"test": "evil"}, "scripts.test": "jest"},
        {"": {"scripts": {"test": "jest"}}, "scripts": {"test": "evil"}},
        {"scripts": {"test": "evil", "": "jest"}},
    ],
)
def test_no_key_hides_another_by_how_it_is_spelled(arena: Arena, now: dict[str, object]) -> None:
    (arena.work / "package.json").write_text('{"scripts": {"test": "jest"}}')
    (arena.work / "next").write_text(json.dumps(now))
    arena._own()
    assert play(arena, "cat next > package.json")["package.json"]["keys"]["scripts.test"] == "evil"


@pytest.mark.parametrize(
    "script",
    [
        "mv .git .g && git config -f .g/config core.fsmonitor evil && mv .g .git && git config user.name x",
        "ln .git/config .x && git config -f .x user.name y && printf '[core]\\n\\tfsmonitor = evil\\n' >> .x; cat .x > .git/config; git config user.name x",
        "printf '[core]\\n\\tfsmonitor = evil\\n' >> alias && git config user.name x",
        "mkdir n && cp -r .git n/.git && git config -f n/.git/config core.fsmonitor evil && mv .git old && mv n/.git .git && git config user.name x",
        "rm .git/config && git config -f .git/config core.fsmonitor evil && git config user.name x",
    ],
)
def test_what_the_session_put_there_is_not_taken_for_what_was_there_before(arena: Arena, script: str) -> None:
    subprocess.run(["git", "init", "-q", arena.work], check=True)
    os.link(arena.work / ".git" / "config", arena.work / "alias")
    found = play(arena, f"{script}; true", preset="observe")
    assert found[".git/config"]["keys"]["core.fsmonitor"] == "evil"


def test_a_folder_that_counts_as_one_thing_does_so_however_it_came(arena: Arena) -> None:
    found = play(arena, "mkdir p; for i in $(seq 30); do cp /bin/true p/$i; done; mv p .venv")
    assert {path: item["kind"] for path, item in found.items()} == {".venv": "dependencies"}


def test_pictures_are_not_listed_and_texts_for_people_are(arena: Arena) -> None:
    found = play(arena, "git init -q new; cd new; git config user.email a@b; echo text > README; cat README > other.md; cp README a.PNG")
    texts = {"new/README": "documents", "new/other.md": "documents"}
    assert {path: item["kind"] for path, item in found.items()} == {"new/.git/HEAD": "git-content", **texts}


def test_what_a_tool_that_nobody_knows_runs_is_listed(arena: Arena) -> None:
    """The person's own tool takes every file of its kind, and nothing in the workspace names any of them."""
    arena._own()
    tool = 'cd "$1" && for each in $(find . -name "*.step" -o -name stepfile -o -name "*.snap"); do . "$each"; done'
    script = "mkdir -p a/__snapshots__; for i in a/x.step a/stepfile a/__snapshots__/b.js.snap; do echo 'echo ran $each' > $i; done"
    assert arena.run("sh", "-c", script).code == 0
    ran = set(arena.run("sh", "-c", tool, "tool", arena.work).output.split()) - {"ran"}
    assert len(ran) == 3, "without Interlock"
    arena.build()
    found = play(arena, script)
    assert ran == set(arena.run("sh", "-c", tool, "tool", arena.work).output.split()) - {"ran"}
    assert {name.removeprefix("./"): "others" for name in ran} == {path: item["kind"] for path, item in found.items()}


def test_what_leads_git_elsewhere_is_named(arena: Arena) -> None:
    subprocess.run(["git", "init", "-q", arena.work], check=True)
    config = arena.work / ".git" / "config"
    subprocess.run(["git", "config", "-f", config, "remote.origin.url", "https://ours/a"], check=True)
    keys = {"remote.origin.url": "https://theirs/a", "remote.origin.mirror": "true", "branch.main.pushremote": "theirs"}
    script = "; ".join(f"git config {key} {value}" for key, value in keys.items()) + "; git remote add new https://new/a"
    assert play(arena, script)[".git/config"]["keys"] == keys
    assert play(arena, "git remote set-url new https://theirs/b")[".git/config"]["keys"] == {"remote.new.url": "https://theirs/b"}


@pytest.mark.parametrize(
    ("before", "script", "path", "kind"),
    [
        ("", "echo 'all:' > makefile", "makefile", "make"),
        ("", "echo 'all:' > GNUmakefile", "GNUmakefile", "make"),
        ("", "mkdir t; echo x > t/conftest.py", "t/conftest.py", "python"),
        ("", "echo x > vite.config.ts", "vite.config.ts", "javascript"),
        ("", "printf '#!/bin/sh\\n' > helper", "helper", "programs"),
        ("echo x > tool", "chmod +x tool", "tool", "programs"),
        ("", "cp /bin/true ./tool", "tool", "programs"),
        ("mkdir -p .venv/bin; echo x > .venv/bin/activate", "echo evil >> .venv/bin/activate", ".venv", "dependencies"),
        ("", "mkdir -p node_modules/a; echo x > node_modules/a/index.js", "node_modules", "dependencies"),
        ("", "ln -s ../home/.bashrc out", "out", "links"),
        ("", "mkdir free; echo x > free/Makefile; mv free kept", "kept/Makefile", "make"),
        ("mkdir free; echo x > free/Makefile", "mv free kept", "kept/Makefile", "make"),
        ("echo x > real; ln -s real Makefile", "echo evil >> real", "Makefile", "make"),
        ("mkdir tools; echo x > tools/pre-commit; ln -s tools .husky", "echo evil >> tools/pre-commit", ".husky/pre-commit", "git-hooks"),
        ("git config -f .git/config core.hooksPath my/hooks; mkdir -p my/hooks", "echo x > my/hooks/pre-commit", "my/hooks/pre-commit", "git-hooks"),
        ("git config -f .git/config filter.x.clean 'python3 clean.py'", "echo evil > clean.py", "clean.py", "git-hooks"),
        ("", "git init -q --bare data; git -C data config core.fsmonitor evil", "data/config", "git-config"),
        ("mkdir -p ../home/.cache/pre-commit/x", "echo evil > ~/.cache/pre-commit/x/hook.py", "~/.cache/pre-commit", "caches"),
        ("", "mkdir -p .git/rebase-merge; echo 'exec evil' > .git/rebase-merge/git-rebase-todo", ".git/rebase-merge/git-rebase-todo", "git-hooks"),
        ("", "mkdir -p c o/objects o/refs; echo 'ref: refs/heads/x' > c/HEAD; echo ../o > c/commondir; git config -f o/config core.fsmonitor evil", "o/config", "git-config"),
        ("mkdir -p c o/objects o/refs; echo 'ref: refs/heads/x' > c/HEAD; echo ../o > c/commondir", "git config -f o/config core.fsmonitor evil", "o/config", "git-config"),
        ("", "git init -q r; cd r; echo x > f; git add f", "r/.git/objects", "git-content"),
        ("mkdir deps; ln -s deps venv", "echo x > deps/start", "venv", "dependencies"),
        ("mkdir ../out; echo x > ../out/one; ln ../out/one notes", "echo y >> notes", "notes", "links"),
        ("mkdir -p node_modules ../out; echo x > ../out/one; ln ../out/one node_modules/one", "echo y >> node_modules/one", "node_modules/one", "links"),
        ("echo 'include more' > Makefile", "echo x > more", "more", "named"),
        ("echo 'include more' > Makefile", "echo x > hidden; ln -s hidden more", "more", "named"),
        ("echo 'include a' > Makefile", "echo 'include b' > a; echo x > b", "b", "named"),
        ("echo 'all: ; for i in parts/*; do sh $i; done' > Makefile; mkdir parts", "echo x > parts/1", "parts/1", "named"),
        ("echo '. ~/../work/mine' > ../home/.bashrc", "echo x > mine", "mine", "named"),
        # What the text of before named runs again as soon as the change of it is taken back.
        ("echo 'include more' > Makefile", "echo 'all:' > Makefile; echo x > more", "more", "named"),
        ("echo 'include more' > Makefile", "echo x > more; rm Makefile", "more", "named"),
        ("echo 'include more' > Makefile", "echo x > more; echo 'all:' > new; mv new Makefile", "more", "named"),
        ("echo 'include more' > Makefile", "mv Makefile old; echo 'all:' > old; echo x > more", "more", "named"),
        ("echo 'include a' > Makefile; echo 'include b' > a", "rm Makefile a; echo 'include b' > a; echo x > b", "b", "named"),
        ("echo '. ./setting' > build; chmod +x build", ": > build; echo x > setting", "setting", "named"),
        ("echo '. ./setting' > build; chmod +x build", "chmod -x build; : > build; echo x > setting", "setting", "named"),
        # However a text writes a name, and whatever else it holds.
        ("printf '# \\0\\ninclude more\\n' > Makefile", "echo x > more", "more", "named"),
        ("yes '# padding' | head -c 700000 > Makefile; echo 'include more' >> Makefile", "echo x > more", "more", "named"),
        ("printf 'all:\\n\\tsh my\\\\ step\\n' > Makefile", "echo x > 'my step'", "my step", "named"),
        ("printf 'all:\\n\\tfor i in *.step; do sh $$i; done\\n' > Makefile", "echo x > a.step", "a.step", "named"),
        ("""printf '{"scripts": {"test": "sh \\\\u006dore"}}' > package.json""", "echo x > more", "more", "named"),
        ("git config -f .git/config filter.x.clean 'sh data'; yes '# padding' | head -c 700000 >> .git/config", "echo x > data", "data", "named"),
        ("printf '[core \"hookspath\\0\"]\\n\\tx = hk\\n' >> .git/config; mkdir hk", "echo x > hk/pre-commit", "hk/pre-commit", "git-hooks"),
        ("printf '[a \"\"]\\n\\tk\\n[core]\\n\\thooksPath = \"hk \"\\n' >> .git/config; mkdir 'hk '", "echo x > 'hk /pre-commit'", "hk /pre-commit", "git-hooks"),
        ("printf '[core]\\n\\thooksPath = hk\\351\\n' >> .git/config; mkdir \"$(printf 'hk\\351')\"", "echo x > \"$(printf 'hk\\351')/pre-commit\"", "hk\udce9/pre-commit", "git-hooks"),
        # What git takes for content, and for remotes.
        ("", "mkdir -p .git/rr-cache/0; echo x > .git/rr-cache/0/postimage", ".git/rr-cache/0/postimage", "git-links"),
        ("", "mkdir -p .git/remotes; echo 'URL: x' > .git/remotes/o", ".git/remotes/o", "git-links"),
        ("", "mkdir -p .git/refs/replace; echo x > .git/refs/replace/0", ".git/refs/replace/0", "git-links"),
        ("", "mkdir -p .git/refs/heads; echo x > .git/refs/heads/main", ".git/refs/heads", "git-content"),
        ("", "echo 'ref: refs/heads/other' > .git/HEAD", ".git/HEAD", "git-content"),
        ("", "echo x > .git/MERGE_HEAD", ".git/MERGE_HEAD", "git-content"),
        ("", "echo x > .git/index", ".git/index", "git-content"),
        ("", "mkdir -p .git/lfs/objects; echo x > .git/lfs/objects/0", ".git/lfs", "git-content"),
        ("", "mkdir .bsp; echo '{}' > .bsp/x.json", ".bsp/x.json", "editor-config"),
        ("", "mkdir .vscode; echo '{}' > .vscode/c_cpp_properties.json", ".vscode/c_cpp_properties.json", "editor-config"),
        ("", "mkdir e.egg-info; echo '[pytest11]' > e.egg-info/entry_points.txt", "e.egg-info/entry_points.txt", "python"),
        ("", "echo x > package.yaml", "package.yaml", "javascript"),
        ("", "echo x > build.ninja", "build.ninja", "make"),
        ("", "echo x > nuget.config", "nuget.config", "builds"),
        ("", "echo x > .unheard-of", ".unheard-of", "settings"),
        ("", "mkdir -p .odd/deep; echo x > .odd/deep/text", ".odd/deep/text", "settings"),
        ("", "echo x > playbook.yml", "playbook.yml", "settings"),
        ("", "echo x > util.py", "util.py", "code"),
        ("", "mkdir src; echo x > src/Makevars", "src/Makevars", "others"),
        ("", "mkdir __snapshots__; echo x > __snapshots__/a.js.snap", "__snapshots__/a.js.snap", "others"),
        ("", "echo x > main.nf", "main.nf", "others"),
        ("echo x > base.mako", "ln base.mako o; echo y >> o; rm o", "base.mako", "others"),
        ("", "mkdir free; echo x > free/typemap; mv free kept", "kept/typemap", "others"),
        ("", "mkfifo steps", "steps", "others"),
        ("echo 'include notes.md' > Makefile", "echo x > notes.md", "notes.md", "named"),
        ("", "echo x > .flaskenv", ".flaskenv", "folder-environment"),
        ("", "echo '{}' > package-lock.json", "package-lock.json", "package-locks"),
        ("", "cp /bin/true tool; chmod 644 tool", "tool", "programs"),
        ("", "cp /bin/true tool; ln -s tool other", "other", "programs"),
        ("echo '{}' > ../home/.claude.json", """echo '{"projects": {"/x": {"hasTrustDialogAccepted": true}}}' > ~/.claude.json""", "~/.claude.json", "agent-state"),
        ("mkdir -p ../home/.claude/session-env", "cd ~/.claude/session-env; mkdir s; echo x > s/hook-0.sh", "~/.claude/session-env", "agent-memory"),
        ("mkdir -p ../home/.npm/_npx/x", "echo evil > ~/.npm/_npx/x/index.js", "~/.npm", "caches"),
    ],
)  # fmt: skip
def test_what_would_run_is_listed(arena: Arena, before: str, script: str, path: str, kind: str) -> None:
    subprocess.run(["sh", "-c", before], cwd=arena.work, check=True)
    found = play(arena, script)
    where = path.replace("~", str(arena.home))
    assert where in found, sorted(found)
    assert found[where]["kind"] == kind


@pytest.mark.parametrize(
    "path",
    [
        ".local/share/claude/versions/2.1.0",
        ".claude/local/node_modules/x/cli.js",
        ".codex/bin/codex",
        ".codex/.env",
        ".cache/p10k-instant-prompt-ada.zsh",
        ".cache/zsh/zcompdump",
        ".cache/gitstatus/gitstatusd-linux-x86_64",
        ".zcompdump",
    ],
)
@pytest.mark.parametrize("preset", ["coding-agent", "ci"])
def test_what_a_shell_or_an_agent_runs_of_itself_is_denied(arena: Arena, path: str, preset: str) -> None:
    place = arena.home / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("before\n")
    arena._own()
    script = 'echo evil > "$1"; mv "$1" moved; echo evil > new; mv new "$1"; rm -f "$1"; true'
    arena.held("sh", "-c", script, "sh", str(place), preset=preset)
    assert place.read_text() == "before\n"


def test_the_same_is_listed_where_policy_allows_it(arena: Arena) -> None:
    place = arena.home / ".cache" / "zsh" / "zcompdump"
    place.parent.mkdir(parents=True, exist_ok=True)
    found = play(arena, "echo evil > ~/.cache/zsh/zcompdump; echo evil > ~/.bashrc", preset="observe")
    assert {found[str(place)]["kind"], found[str(arena.home / ".bashrc")]["kind"]} == {"shell-startup"}


def test_a_name_that_others_look_for_is_listed_where_policy_allows_it(arena: Arena) -> None:
    folder = f"/tmp/ssh-{arena.root.name}"
    try:
        found = play(arena, f"mkdir {folder} && echo x > {folder}/agent.1", preset="observe")
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)
    assert {item["kind"] for path, item in found.items() if path.startswith(folder)} == {"meeting-places"}


def test_a_flood_of_live_names_displaces_nothing_near_the_top_and_is_counted(arena: Arena) -> None:
    script = "mkdir -p a/b/c && cd a/b/c && seq 20500 | sed 's/$/.mk/' | xargs touch && cd ../../.. && echo x > Makefile"
    found = play(arena, script)
    said = changes(arena)
    assert "Makefile" in found
    assert said["counts"]["make"] + said["unseen"] >= 20_500


def test_git_is_never_run_to_find_out(arena: Arena) -> None:
    """A configuration that would run something at any git command, a pager or a monitor, ran nothing at the session's end."""
    witness = arena.root / "ran"
    play(arena, f"git init -q .; git config core.fsmonitor 'touch {witness}'; git config core.pager 'touch {witness}'", preset="observe")
    assert not witness.exists()


def test_a_file_that_cannot_be_read_in_time_holds_nothing_up(arena: Arena) -> None:
    found = play(arena, "rm -f package.json; mkfifo package.json; mkfifo Makefile")
    assert {"package.json", "Makefile"} <= set(found)


def test_what_deceives_a_terminal_is_shown_escaped(arena: Arena) -> None:
    arena._own()
    done = arena.held("sh", "-c", "printf '#!/bin/sh\\n' > \"$(printf 'a\\033[2Jb')\"")
    assert "\x1b" not in done.errors
    assert "a\\x1b[2Jb" in done.errors
