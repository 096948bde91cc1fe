"""Of files that are compared key by key (`runs_later`): which keys make something run, or which do not.

A `*` stands for any text.
"""

from __future__ import annotations

from typing import Final

#: Keys of git configuration that run nothing and lead nowhere; all others are named.
GIT_HARMLESS: Final = (
    *(
        f"core.{key}"
        for key in [
            "repositoryformatversion",
            "filemode",
            "bare",
            "logallrefupdates",
            "ignorecase",
            "precomposeunicode",
            "autocrlf",
            "eol",
            "safecrlf",
            "symlinks",
            "quotepath",
            "abbrev",
            "compression",
            "bigfilethreshold",
            "checkstat",
            "trustctime",
            "untrackedcache",
            "preloadindex",
            "sharedrepository",
            "commentchar",
            "whitespace",
            "longpaths",
            "splitindex",
            "multipackindex",
            "commitgraph",
            "sparsecheckout",
            "sparsecheckoutcone",
        ]
    ),
    *("extensions.objectformat", "extensions.refstorage", "extensions.partialclone", "extensions.worktreeconfig"),
    *("user.name", "user.email", "author.*", "committer.*", "color.*", "advice.*", "branch.*.remote", "branch.*.merge"),
    *("branch.*.rebase", "branch.*.description", "branch.*.pushremote", "branch.autosetup*", "init.defaultbranch"),
    *(f"remote.*.{key}" for key in ("url", "pushurl", "fetch", "push", "tagopt", "prune", "mirror", "promisor")),
    *(
        "remote.*.partialclonefilter",
        "remote.*.gh-resolved",
        "remote.pushdefault",
        "submodule.active",
        "submodule.recurse",
    ),
    *(
        "submodule.*.url",
        "submodule.*.active",
        "submodule.*.branch",
        "submodule.*.ignore",
        "push.default",
        "push.followtags",
    ),
    *("push.autosetupremote", "pull.rebase", "pull.ff", "fetch.prune", "fetch.parallel", "fetch.output", "rerere.*"),
    *(
        "merge.conflictstyle",
        "merge.ff",
        "rebase.autosquash",
        "rebase.autostash",
        "rebase.updaterefs",
        "index.*",
        "pack.*",
    ),
    *("gc.auto", "gc.autopacklimit", "gc.pruneexpire", "maintenance.auto", "maintenance.strategy", "log.*", "status.*"),
    *(
        "diff.renames",
        "diff.algorithm",
        "diff.colormoved",
        "diff.mnemonicprefix",
        "column.*",
        "tag.sort",
        "tag.gpgsign",
        "commit.gpgsign",
        "lfs.repositoryformatversion",
    ),
)
#: Of the others, those that run something or lead to what does, whatever else a file has: they are told first, and of
#: these what runs at any command of git's.
GIT_FIRST: Final = (
    *(f"core.{key}" for key in ("fsmonitor", "hookspath", "pager", "sshcommand", "editor", "askpass", "gitproxy")),
    *("include.path", "includeif.*.path", "core.worktree", "core.attributesfile", "core.alternaterefscommand"),
    *("filter.*", "diff.external", "diff.*.command", "diff.*.textconv", "merge.*.driver", "hook.*", "pager.*"),
    *("credential*.helper", "sequence.editor", "gpg*.program", "gpg.*command", "interactive.difffilter"),
    "submodule.*.update",
    *("remote.*.uploadpack", "remote.*.receivepack", "remote.*.vcs", "remote.*.proxy", "url.*", "alias.*", "trailer.*"),
    *("*.cmd", "*.path", "*.program", "*.command", "*.helper", "uploadpack.*", "init.templatedir"),
)
#: Of those that run nothing, what leads a push elsewhere, or has it take away what is there.
GIT_LEADING: Final = (
    *("remote.*.pushurl", "remote.*.push", "remote.*.mirror", "remote.pushdefault", "branch.*.pushremote"),
)
#: Of the members of a package.json: what a client runs by itself or by its name, and what it fetches and runs.
PACKAGE_FIRST: Final = ("scripts.*", "bin*", "main", "exports*", "dependencies*", "*ependencies*", "pnpm*", "gypfile")
#: Members of a package.json that no client runs. Its name is none: in a workspace, clients put the package in the
#: place of the dependency that is called so. Nor are `browserslist`, which may name a program, and `publishConfig`, by
#: which another registry, folder or entry is taken.
PACKAGE_HARMLESS: Final = (
    *(
        "version",
        "description",
        "keywords*",
        "author*",
        "contributors*",
        "license*",
        "repository*",
        "homepage",
        "bugs*",
    ),
    *(
        "private",
        "funding*",
        "files*",
        "sideEffects*",
        "types",
        "typings",
        "engines*",
    ),
)
#: Members of an agent's own state that start something, or let it start without a question.
AGENT_NAMED: Final = (
    *("mcpServers*", "mcp_servers*", "hooks*", "permissions*", "apiKeyHelper", "statusLine*", "env*"),
    *(
        "projects.*mcpServers*",
        "projects.*mcpContextUris*",
        "projects.*allowedTools*",
        "projects.*enabledMcpjsonServers*",
        "projects.*enabledMcpServers*",
    ),
    *("gcpAuthRefresh", "proxyAuthHelper", "subagentStatusLine*", "remoteControlAtStartup", "autoUploadSessions"),
    "bypassPermissionsModeAccepted",
    *("projects.*hasTrustDialogAccepted", "projects.*hasClaudeMdExternalIncludesApproved"),
)
