"""Built-in sets of what runs later, outside: start-up files, hooks, and the configuration of editors, clients and
coding agents.

What of them is denied, and what else is listed at a session's end, is said by one table (`runs_later`).
"""

# ruff: noqa: S108 - patterns, not files of ours
from __future__ import annotations

from typing import Final

SHELL: Final = (
    "~/.{bashrc,bash_profile,bash_login,bash_logout,bash_aliases,profile,inputrc,kshrc,mkshrc,cshrc,tcshrc,login,logout}",
    "~/.{zshrc,zshenv,zprofile,zlogin,zlogout,xonshrc,envrc,direnvrc,pam_environment,hushlogin}",
    "~/.{bashrc.d,bash_completion.d,bash_completion,zsh,zfunc,oh-my-zsh,oh-my-bash,zsh.d,config/zsh,config/bash,config/fish,config/direnv}/**",
    "~/.config/{nushell,powershell,xonsh,starship.toml,environment.d}/**",
    "~/.local/share/{bash-completion,fish,zsh,nushell}/**",
    "~/.{gdbinit,gdbearlyinit,lldbinit,pdbrc,pythonrc,Rprofile,irbrc,pryrc,psqlrc,sqliterc,my.cnf,tmux.conf,screenrc,dircolors}",
    "~/.config/{gdb,tmux,screen}/**",
    "~/.local/lib/python*/site-packages/{*.pth,sitecustomize.py,usercustomize.py}",
    "/etc/{profile,profile.d/**,bash.bashrc,environment,ld.so.preload,ld.so.conf,ld.so.conf.d/**,zsh/**,skel/**}",
)

#: What a person starts by its name, as other programs do. The first of a name that is found hides all others.
USER_PROGRAMS: Final = ("~/{bin,.local/bin,.cargo/bin,go/bin,.bun/bin}/**",)

#: What a shell sources or runs at its start, made by itself or by its plugins on an earlier day.
SHELL_CACHES: Final = (
    "~/.cache/{p10k-*,.zcompdump*,zcompdump*}",
    "~/.cache/{zsh,gitstatus,fish,bash,bash-completion,nushell,starship,oh-my-posh,oh-my-zsh,carapace,atuin,zoxide,direnv}/**",
    "~/.cache/{antidote,antibody,antigen,zinit,zplug,zgenom,sheldon,zsh-snap,zsh4humans,prezto,zim}/**",
    "~/.{zcompdump*,p10k.zsh,p10k.zsh.zwc,zshrc.zwc,zshenv.zwc,zprofile.zwc,zlogin.zwc,zlogout.zwc}",
    "~/.{zcompcache,zsh_sessions,antigen,antidote,zinit,zplug,zgen,zgenom,zim,zprezto,zsh-snap}/**",
    "~/.local/share/{zinit,sheldon,antidote,zplug,atuin,direnv}/**",
    "~/.local/state/zsh/**",
)

LOGIN: Final = (
    "~/.config/{autostart,systemd,plasma-workspace,upstart}/**",
    "~/.local/share/{systemd,applications,dbus-1,autostart,kservices5,kio,nautilus/scripts,gnome-shell/extensions,plasma}/**",
    "~/.{xinitrc,xprofile,xsession,xsessionrc,Xresources,xserverrc,vnc/xstartup}",
    "~/.config/{sway,i3,hypr,awesome,openbox,kitty,alacritty,wezterm,ghostty}/**",
    "~/.{at,crontab}",
    "/var/spool/{cron,at,anacron}/**",
    "/etc/{crontab,cron.d/**,cron.daily/**,cron.hourly/**,cron.weekly/**,cron.monthly/**,anacrontab,rc.local,init.d/**,systemd/**,sudoers.d/**}",
    "/run/user/*/systemd/**",
)

#: `/*`, not `/**`: git makes the folder itself at every clone. A hook is a file in it.
GIT_HOOKS: Final = (
    "**/.git/hooks/*",
    "**/.git/modules/**/hooks/*",
    "**/.git/worktrees/*/hooks/*",
    "**/*.git/hooks/*",
    "**/*.git/{modules,worktrees}/**/hooks/*",
    "~/.config/git/{hooks,template}/**",
    "~/.git-templates/**",
    "~/.git_template/**",
    "~/.githooks/**",
)

#: Of a git directory that lies outside of the workspace: what makes git run something, or leads it elsewhere.
REPOSITORY_FIXED: Final = (
    "{config,config.worktree,commondir,gitdir,hooks/**,info/attributes}",
    "worktrees/*/{config.worktree,commondir,gitdir}",
    "worktrees/*/modules/**/{config,config.worktree,commondir,gitdir,hooks/**,info/attributes}",
    "modules/**/{config,config.worktree,commondir,gitdir,hooks/**,info/attributes}",
    "objects/info/{alternates,http-alternates}",
)

#: Of a git directory in the workspace that is not called `.git`: its configuration, and what nobody changes.
REPOSITORY_KEYED: Final = ("{config,config.worktree}", "{modules,worktrees}/**/{config,config.worktree}")
REPOSITORY_NEVER: Final = ("hooks/*", "{modules,worktrees}/**/hooks/*", "commondir")

#: Git's own configuration of repositories, in the workspace.
GIT_CONFIGURATION: Final = (
    "**/.git/{config,config.worktree}",
    "**/.git/{modules,worktrees}/**/{config,config.worktree}",
    "**/*.git/{config,config.worktree}",
    "**/*.git/{modules,worktrees}/**/{config,config.worktree}",
)

#: Files by which git is led to another directory, and takes the configuration that it finds there.
GIT_POINTERS: Final = ("**/.git",)
GIT_SHARED: Final = ("**/*.git/{,modules/**/}worktrees/*/commondir",)
GIT_SHARED_NEVER: Final = ("**/*.git/commondir", "**/*.git/modules/**/commondir")
#: With folders `objects` and `refs` beside it, it makes a folder a repository, whose `config` then counts.
REPOSITORY_MADE: Final = ("**/HEAD",)

#: Of an agent's own files, those that it rewrites and that also say what it starts.
#: Where there is a `.config.json`, Claude Code reads it in the place of its `.claude.json`.
AGENT_STATE_FILES: Final = ("~/.claude.json", "${claude}/{.claude.json,.config.json}", "~/.claude/.config.json")
#: What an organisation sets from afar is kept in a file of its own, which outdoes the person's.
AGENT_SETTINGS: Final = ("~/.claude/{settings,remote-settings}.json", "${claude}/{settings,remote-settings}.json")
CODEX_SETTINGS: Final = ("~/.codex/config.toml", "${codex}/config.toml")

#: What an object directory holds, so that naming another directory as one opens nothing else.
OBJECT_FILES: Final = ("", "/{pack,info}/**", "/[0-9a-f][0-9a-f]/**")

#: Where the next session would read what it names.
BORROWED: Final = ("**/objects/info/{alternates,http-alternates}",)

GIT_USER: Final = (
    "~/.gitconfig",
    "~/.config/git/{config,attributes,ignore}",
    "/etc/gitconfig",
    "/etc/gitattributes",
    "@git-included",
    "@included-links",
)

EDITORS: Final = (
    "**/.vscode/{tasks,launch,settings}.json",
    "**/*.code-workspace",
    "**/.idea/{workspace.xml,externalDependencies.xml}",
    "**/.idea/{runConfigurations,watcherTasks,fileTemplates,tools}/**",
    "**/.zed/{tasks,settings,debug}.json",
    "**/.fleet/{run,settings}.json",
    "**/.devcontainer/**",
    "**/.devcontainer.json",
    "**/{.exrc,.nvimrc,.nvim.lua,.vimrc,.lvimrc,.dir-locals.el,.dir-locals-2.el,.netrwhist}",
    # Language servers are started from these.
    "**/.{vim,nvim}/coc-settings.json",
    "**/.helix/{config,languages}.toml",
    "**/*.sublime-project",
)

EDITORS_USER: Final = (
    "~/.{vimrc,gvimrc,exrc,emacs,emacs.el,nanorc,ideavimrc}",
    "~/.{vim,emacs.d,doom.d,spacemacs.d,vscode,vscode-server,cursor-server,vscode-insiders,jupyter,ipython/profile_default/startup}/**",
    "~/.{cursor,windsurf,kiro,trae,vscode-oss,antigravity}/extensions/**",
    "~/.config/{nvim,vim,emacs,doom,helix,zed,micro,kak,lvim,sublime-text,JetBrains,Code,Code - "
    "Insiders,VSCodium,Cursor,Windsurf}/**",
    "~/.local/share/{nvim,jupyter,JetBrains,code-server}/**",
)

PACKAGES: Final = (
    "~/.{npmrc,yarnrc,yarnrc.yml,bunfig.toml,pypirc,condarc,gemrc,bundle/config,cargo/config,cargo/config.toml,cargo/env}",
    "~/.{pip/pip.conf,m2/settings.xml,nuget/NuGet/**}",
    "~/.config/{pip,uv,pypoetry,pnpm,NuGet,composer,mise}/**",
    # Go's own settings; its counters lie beside them.
    "~/.config/go/env",
    "~/.gradle/{init.gradle,init.gradle.kts,gradle.properties,init.d/**}",
    "~/.{Rprofile,Renviron,cpan/CPAN/MyConfig.pm,sbt/**,lein/profiles.clj,docker/**,kube/config}",
)

REMOTE: Final = ("~/.ssh/**", "@ssh-included", "~/.{rhosts,shosts,k5login,forward,procmailrc}", "/etc/ssh/**")

#: Coding agents: what makes something run, or decides what may. Instructions in a workspace (AGENTS.md, CLAUDE.md)
#: stay writable.
AGENTS_FOLDER: Final = (
    "**/{.mcp.json,mcp.json,.mcp.jsonc}",
    "**/.{cursor,vscode,windsurf,roo,kilocode,amazonq,trae,junie,gemini,qwen,augment,kiro}/**/{mcp*,settings,hooks}.json",
    "**/.cursor/{hooks,cli,permissions,environment,worktrees}.json",
    "**/.cursor/{rules,commands,hooks,agents,skills,plugins}/**",
    # Commands of these run a shell, extensions bring hooks and tool servers.
    "**/.{gemini,qwen}/{commands,extensions,hooks,agents,skills,policies}/**",
    "**/.{kiro,amazonq}/{hooks,agents,cli-agents}/**",
    # A script at each start, hooks at each step.
    "**/.{openhands,factory}/**",
    "**/.claude/{settings.json,settings.local.json,managed-settings.json,launch.json,scheduled_tasks.json,.mcp.json,CLAUDE.local.md}",
    "**/.claude/{commands,skills,hooks,agents,plugins,output-styles,statusline,rules,workflows,routines}/**",
    "**/.codex/{config.toml,hooks.json,requirements.toml,managed_config.toml,*.config.toml}",
    "**/.codex/{rules,prompts,hooks,plugins,skills}/**",
    "**/.agents/**",
    "**/.opencode/**",
    "**/{opencode.json,opencode.jsonc,.aider.conf.yml,.goosehints,.continuerc.json}",
    "**/.{continue,cline,goose,crush}/**",
    "**/.clinerules/**",
    "**/.github/{copilot,hooks}/**",
)


def _claude(*patterns: str) -> tuple[str, ...]:
    """In the folder that the environment names, and in the one where an agent outside has what is its own."""
    return tuple(f"{place}/{pattern}" for place in ("${claude}", "~/.claude") for pattern in patterns)


def _codex(*patterns: str) -> tuple[str, ...]:
    """The same of Codex."""
    return tuple(f"{place}/{pattern}" for place in ("${codex}", "~/.codex") for pattern in patterns)


AGENTS_USER: Final = (
    *_claude(
        "{settings,settings.local,remote-settings,managed-settings,keybindings,launch,scheduled_tasks,.mcp}.json",
        "{CLAUDE.md,loop.md,statusline.sh}",
        "{commands,skills,hooks,agents,output-styles,rules,workflows,routines,statusline}/**",
        "plugins/{cache,marketplaces,repos,synced,npm-cache}/**",
        # Where each plugin lies.
        "plugins/{installed_plugins,installed_plugins_v2,known_marketplaces}.json",
    ),
    *_codex(
        "{config,*.config,requirements,managed_config}.toml",
        "{AGENTS.md,AGENTS.override.md,hooks.json,.env}",
        "{prompts,rules,hooks,plugins}/**",
        "skills/*/**",
    ),
    "/etc/{claude-code,codex}/**",
    "~/.config/{claude,Claude,goose,opencode,zed,github-copilot,crush,amp,mcp,cline}/**",
    "~/.{gemini,codeium,aider.conf.yml,continue,cline,copilot,qwen}/**",
)

AGENTS: Final = (*AGENTS_FOLDER, *AGENTS_USER)

#: The agents themselves, where they install what they update.
AGENT_PROGRAMS: Final = (
    "~/.local/share/claude/versions/**",
    *_claude("{local,downloads}/**"),
    "~/.cache/claude/staging/**",
    *_codex("{bin,packages}/**"),
    "~/.local/share/{cursor-agent,opencode,goose,crush,amp,gemini,droid,copilot}/{bin,versions}/**",
    "~/.{opencode,amp,factory,gemini,cursor,copilot,goose,crush}/{bin,local,versions}/**",
)

#: A service of an agent starts what it finds here, with the flags and permissions that stand there; a browser starts
#: the program in `chrome`.
AGENT_SERVICES: Final = (
    *_claude("{daemon,jobs,chrome}/**", "daemon.json"),
    *_codex("{app-server-control,app-server-daemon}/**"),
)

#: What an agent runs between two of its commands: snapshots of its shell, scripts for its environment, a folder that
#: is first in its commands' PATH.
AGENT_RUNNING: Final = (
    *_claude("shell-snapshots{,/*}", "session-env{,/*,/*/*}"),
    *_codex("shell_snapshots{,/*}", "tmp/arg0*{,/*,/*/*}"),
)
#: Of that, where something new would be run as well.
AGENT_RUNNING_WHOLE: Final = (*_claude("session-env/*/*"), *_codex("tmp/arg0*/*/*"))

AGENT_STATE: Final = (
    "${claude}/**",
    "~/.claude/**",
    "${claude}/.claude.json*",
    "~/.claude.json",
    "~/.claude.json.*",
    "~/.claude.json.lock/**",
    "~/.local/share/claude/**",
    "~/.local/state/claude/**",
    "${codex}/**",
    "~/.codex/**",
    "/tmp/claude-*/**",
    "/tmp/claude*",
    "/tmp/codex-*/**",
)

STARTUP_SETS: Final[dict[str, tuple[str, ...]]] = {
    "shell-startup": SHELL,
    "shell-caches": SHELL_CACHES,
    "user-programs": USER_PROGRAMS,
    "login-startup": LOGIN,
    "git-hooks": GIT_HOOKS,
    "git-user-config": GIT_USER,
    "borrowing": BORROWED,
    "editor-config": EDITORS,
    "editor-user-config": EDITORS_USER,
    "package-config": PACKAGES,
    "remote-access": REMOTE,
    "agent-config": AGENTS,
    "agent-user-config": AGENTS_USER,
    "opened-folders": (*EDITORS, *AGENTS_FOLDER),
    "agent-programs": AGENT_PROGRAMS,
    "agent-services": AGENT_SERVICES,
    "agent-running": AGENT_RUNNING,
    "agent-running-whole": AGENT_RUNNING_WHOLE,
    "agent-state": AGENT_STATE,
    "agent-state-files": AGENT_STATE_FILES,
    "agent-settings": AGENT_SETTINGS,
    "codex-settings": CODEX_SETTINGS,
    "git-configuration": GIT_CONFIGURATION,
    "git-pointers": GIT_POINTERS,
    "git-shared": GIT_SHARED,
    "git-shared-never": GIT_SHARED_NEVER,
    "repository-made": REPOSITORY_MADE,
    "sample-hooks": ("**/hooks/*.sample",),
}
