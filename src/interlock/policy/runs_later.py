"""What something outside would run later: one table, which says what of it is denied in the presets, what is listed at
a session's end, by whom it would be run, and why it stands where it stands. docs/presets.md prints it.

Denied is what nothing honest needs to change from within a session. Listed is what git, builds and package clients
must be able to write. The order is that of danger: what runs without anybody asking for it comes first. Left out:
finding it at the end (the supervisor's), and naming it to people (`interlock.cli`).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from interlock.policy.runs_later_keys import (
    AGENT_NAMED,
    GIT_FIRST,
    GIT_HARMLESS,
    GIT_LEADING,
    PACKAGE_FIRST,
    PACKAGE_HARMLESS,
)
from interlock.policy.runs_later_kind import DOCUMENT_ENDINGS, DOCUMENT_NAMES, INERT_ENDINGS, Keys, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.policy.compiled_form import CompiledLayer, Match
    from interlock.vocabulary.json_value import JsonObject


KINDS: Final = (
    Kind(
        "shell-startup",
        "your shell, when it starts",
        denied=("@shell-startup", "@shell-caches"),
        reason="no build touches them; a shell inside goes without writing its caches",
        in_trees=True,
    ),
    Kind(
        "user-programs",
        "you and your programs, by its name",
        denied=("@user-programs",),
        reason="whatever is put there first is taken for the program of that name; a person installs it, or says yes",
        in_trees=True,
        rule="installing",
    ),
    Kind(
        "login-startup",
        "a login, a timer or the desktop",
        denied=("@login-startup",),
        listed=("/etc/**", "/{,usr/}lib/{systemd,udev}/**", "/boot/**"),
        reason="a session installs nothing for other sessions",
        in_trees=True,
    ),
    Kind(
        "remote-access",
        "ssh, when somebody logs in or out",
        denied=("@remote-access",),
        reason="who may log in is for a person to say",
        in_trees=True,
    ),
    Kind(
        "agent-programs",
        "the coding agent itself, at its next start",
        denied=("@agent-programs",),
        reason="an agent that could replace itself would leave the session with whatever it likes; update it outside",
        in_trees=True,
    ),
    Kind(
        "agent-services",
        "a service of the coding agent, at once where it runs outside",
        denied=("@agent-services",),
        reason="it starts what it finds there, with the flags and permissions that stand there; start jobs outside",
        in_trees=True,
    ),
    Kind(
        "meeting-places",
        "tmux, ssh, X and others, which take what they find there for each other's",
        denied=("@known-names",),
        reason="outside, whoever makes such a name first is taken for the program that usually does",
        rule="known-names",
    ),
    Kind(
        "git-hooks",
        "git, at the next commit, checkout, merge or push",
        denied=("@git-hooks",),
        listed=(
            "**/.git/hooks",
            "**/.{husky,githooks,git-hooks,hooks,lefthook,cargo-husky}/**",
            "**/{.,}lefthook{,-local}.{yml,yaml,toml,json}",
            "**/.pre-commit-config.yaml",
            "**/.{lintstagedrc,huskyrc,simple-git-hooks}*",
            "**/{.overcommit.yml,captainhook.json,grumphp.yml}",
            "**/.git/{rebase-merge,rebase-apply,sequencer}/**",
            "**/.git/{modules,worktrees}/**/{rebase-merge,rebase-apply,sequencer}/**",
        ),
        reason="hooks are installed by a person; what a project keeps of its own is edited like its code",
        finds="hooks",
    ),
    Kind(
        "git-config",
        "git, at its next command",
        denied=("@git-user-config",),
        listed=(
            "**/.git/{config,config.worktree}",
            "**/.git/{modules,worktrees}/**/{config,config.worktree}",
            "**/*.git/{config,config.worktree}",
            "**/*.git/{modules,worktrees}/**/{config,config.worktree}",
        ),
        reason="`git clone` and `git remote add` must write a repository's own; the keys that run something are named",
        finds="git",
        keys=Keys("git", harmless=tuple(key for key in GIT_HARMLESS if key not in GIT_LEADING), first=GIT_FIRST),
    ),
    Kind(
        "git-elsewhere",
        "git, in the repository that a worktree or submodule belongs to",
        denied=("@repository-fixed",),
        reason="it lies outside of the workspace, and other work trees use it",
        rule="repository-elsewhere",
    ),
    Kind(
        "git-borrowed",
        "git, led to objects of another repository",
        denied=("@borrowing",),
        reason="git makes it for shared clones; the next session would read what it names",
        in_trees=True,
        rule="borrowing",
    ),
    Kind(
        "git-links",
        "git, led to other configuration, hooks and objects",
        listed=(
            "**/.git{,/commondir,/gitdir,/**/commondir,/**/gitdir}",
            # Remotes that no configuration has; what stands for another object; merges that were resolved before.
            "**/*.git/{remotes/*,branches/*,refs/replace/*,info/grafts,rr-cache/**}",
        ),
        reason="git makes them for worktrees, submodules and shared clones",
    ),
    Kind(
        "links",
        "whoever writes or runs through the link",
        reason="builds make links; one that leads out of the workspace changes or runs what lies there",
        finds="links",
    ),
    Kind(
        "agent-config",
        "coding agents, when they start here",
        denied=("@agent-config",),
        # Whose account an agent works for says who sees what it does, and what its organisation sets.
        listed=("${claude}/plugins/**", "${claude}/.credentials.json", "${codex}/auth.json"),
        reason="tool servers, hooks and permissions are a person's to give",
    ),
    Kind(
        "agent-state",
        "coding agents, when they start",
        listed=("~/.claude.json", "${claude}/{.claude.json,.config.json}", "~/.claude/.config.json"),
        reason="an agent rewrites it all the time; the members that start something are named",
        keys=Keys("json", named=AGENT_NAMED),
    ),
    Kind(
        "editor-config",
        "your editor, when it opens the folder",
        denied=("@editor-config", "@editor-user-config"),
        listed=(
            "**/{.clangd,.ccls,compile_commands.json,compile_flags.txt,.vimspector.json,.projections.json,pyrightconfig.json}",
            "**/{.luarc.json,.solargraph.yml,buildServer.json,rust-project.json,hie.yaml,.merlin,omnisharp.json,.project,.classpath}",
            "**/.{vscode,idea,zed,fleet,vs,run,vim,nvim,helix,nova,bsp,metals,bloop,sourcekit-lsp,externalToolBuilders}/**",
            "**/*.{code-workspace,sublime-project,sublime-build,launch,iml,ipr,iws,sln,slnx,suo,xcodeproj/**,xcworkspace/**}",
        ),
        reason="editors run tasks and settings of a folder that is opened",
    ),
    Kind(
        "package-config",
        "package clients, at their next command",
        denied=("@package-config",),
        reason="registries and scripts for every project of yours",
    ),
    Kind(
        "folder-environment",
        "direnv, mise and their like, on entering the folder",
        listed=(
            "**/{.envrc,.tool-versions,mise.toml,.mise.toml,mise.local.toml,.mise/**,.config/mise/**,.autoenv*,.in,.out,devbox.json}",
            "**/{.env,.env.*,.flaskenv,.prototools,.shadowenv.d/**,devenv.yaml,.*-version}",
        ),
        reason="edited like the project's code; these tools ask before they trust a changed file, or can be told to",
    ),
    Kind(
        "package-scripts",
        "npm, pnpm, yarn and bun, at install, test or run",
        listed=("**/package.json",),
        reason="adding a dependency writes it; the members that were changed are named",
        keys=Keys("json", harmless=PACKAGE_HARMLESS, first=PACKAGE_FIRST),
    ),
    Kind(
        "package-locks",
        "package clients, which fetch and run what it names",
        listed=(
            "**/{package-lock.json,npm-shrinkwrap.json,yarn.lock,pnpm-lock.yaml,bun.lock,bun.lockb,deno.lock}",
            "**/{Cargo.lock,go.sum,go.work.sum,poetry.lock,uv.lock,pdm.lock,pixi.lock,Pipfile.lock,pylock.toml,pylock.*.toml}",
            "**/{Gemfile.lock,composer.lock,mix.lock,pubspec.lock,Package.resolved,flake.lock,MODULE.bazel.lock,gradle.lockfile}",
        ),
        reason="adding a dependency writes it",
    ),
    Kind(
        "make",
        "make, just or task, when called",
        listed=(
            "**/[Mm]akefile",
            "**/{GNU,BSD}makefile",
            "**/Makefile.*",
            "**/makefile.{mk,mak,inc,in,am,common,defs,config,local,unix,linux,win,vc}",
            "**/*.{mk,mak,make,just}",
            "**/{.,}[Jj][Uu][Ss][Tt][Ff][Ii][Ll][Ee]",
            "**/[Tt]askfile{,.dist}.{yml,yaml}",
            "**/{*.ninja,Kbuild,Kconfig*,Tupfile,Tuprules.tup,Jamroot,*.jam,*.do}",
        ),
        reason="edited like the project's code",
    ),
    Kind(
        "javascript",
        "Node's tools, when called",
        listed=(
            "**/.{npmrc,yarnrc,yarnrc.yml,pnpmfile.cjs,pnpmfile.mjs}",
            "**/{pnpmfile.cjs,pnpm-workspace.yaml,bunfig.toml,deno.json,deno.jsonc,lerna.json,nx.json,turbo.json}",
            "**/{tsconfig,jsconfig}*.json",
            "**/{angular,project,vercel,firebase,wrangler,cypress}.json{,c}",
            "**/*.{gyp,gypi}",
            "**/*.{config,setup}.{js,cjs,mjs,ts,cts,mts,json}",
            "**/.{eslintrc,babelrc,prettierrc,stylelintrc,mocharc,swcrc,nycrc,postcssrc}{,.js,.cjs,.mjs,.json,.yml,.yaml}",
            "**/{Gruntfile,Gulpfile,gulpfile,Jakefile}.{js,cjs,mjs,ts}",
            "**/.yarn/{releases,plugins,sdks}/**",
            "**/{package.yaml,package.json5,nodemon.json,tslint.json,rush.json,import_map.json,cdk.json,pm2.json}",
        ),
        reason="edited like the project's code",
    ),
    Kind(
        "python",
        "Python and its tools, when called",
        listed=(
            "**/{setup.py,setup.cfg,pyproject.toml,conftest.py,noxfile.py,tox.ini,pytest.ini,manage.py,tasks.py,fabfile.py,dodo.py}",
            "**/{sitecustomize.py,usercustomize.py,pip.conf,uv.toml,SConstruct,SConscript,wscript,.pythonrc,.pdbrc}",
            "**/{*.pth,requirements*.txt,.python-version,pyvenv.cfg,meson.build}",
            "**/{mypy.ini,.mypy.ini,.pylintrc,pylintrc,.flake8,.coveragerc,hatch.toml,pixi.toml,environment.yml,Pipfile,Snakefile}",
            # A folder beside what is started says which plugins there are.
            "**/*.{egg-info,dist-info}/**",
            "**/{*requirements,constraints}*.{txt,in}",
            "**/requirements/*.{txt,in}",
            "**/{mkdocs.yml,dvc.yaml,MLproject,*.smk,*.robot,*.egg-link,MANIFEST.in}",
        ),
        reason="edited like the project's code",
    ),
    Kind(
        "builds",
        "the build tool, when called",
        listed=(
            "**/{build.rs,Cargo.toml,.cargo/config,.cargo/config.toml,rust-toolchain,rust-toolchain.toml}",
            "**/{CMakeLists.txt,CMakePresets.json,CMakeUserPresets.json,*.cmake,configure,configure.ac,Makefile.am,config.status}",
            "**/{Rakefile,Gemfile,*.gemspec,.rspec,config.ru,Guardfile,Vagrantfile,Procfile,Tiltfile,Earthfile,Berksfile}",
            "**/{build,settings,init}.gradle{,.kts}",
            "**/{gradlew,gradlew.bat,mvnw,mvnw.cmd,pom.xml,build.xml,build.sbt,build.sc,gradle.properties}",
            "**/{gradle/wrapper,.mvn,project}/*.{jar,properties,xml,config,sbt,scala}",
            "**/{WORKSPACE,WORKSPACE.bazel,MODULE.bazel,BUILD,BUILD.bazel,.bazelrc,*.bzl,BUCK,.buckconfig,tools/bazel}",
            "**/{flake.nix,default.nix,shell.nix,devenv.nix,dune,dune-project,Setup.hs,stack.yaml,cabal.project,Package.swift,mix.exs}",
            "**/{*.csproj,*.fsproj,*.vcxproj,*.props,*.targets,rebar.config,composer.json,build.zig,go.mod,go.work,tools.go,magefile.go}",
            "**/{.gdbinit,.lldbinit,.ghci,.ocamlinit,.iex.exs,.Rprofile,.Renviron,.rubocop.yml,.yardopts,.tmuxinator.yml,.tmuxp.yaml}",
            "**/{ansible.cfg,*.tf,*.tofu,terragrunt.hcl,skaffold.yaml,helmfile.yaml,netlify.toml,wrangler.toml}",
            "**/{{phpunit,psalm}.xml,phpstan.neon}{,.dist}",
            "**/*.{gradle,sbt,m4,am,ac,pro,pri,gn,gni,cabal,nimble,rockspec,podspec,hxml,opam,dub,spec,vbproj,proj,rsp,cake}",
            "**/{pubspec.yaml,build.yaml,analysis_options.yaml,[Nn]u[Gg]et.[Cc]onfig,global.json,dotnet-tools.json,launchSettings.json}",
            "**/{latexmkrc,.latexmkrc,cpanfile,Build.PL,PKGBUILD,APKBUILD,package.yaml,dub.json,meson_options.txt,conanfile.txt}",
            "**/{.jvmopts,.sbtopts,.RData,.erlang,.simplecov,.busted,.htaccess,Brewfile,Podfile,Fastfile,Capfile,Thorfile,Dangerfile}",
        ),
        reason="edited like the project's code",
    ),
    Kind(
        "git-attributes",
        "git, choosing filters and drivers; editors, for their settings",
        listed=("**/{.gitattributes,.gitmodules,.editorconfig,.git/{,**/}info/{attributes,sparse-checkout}}",),
        reason="they name filters and submodules, which configuration must define",
    ),
    Kind(
        "continuous-integration",
        "your forge or registry, after a push",
        listed=(
            "**/.github/{workflows,actions}/**",
            "**/.{gitlab-ci,travis,drone,woodpecker}.{yml,yaml}",
            "**/{Jenkinsfile,azure-pipelines.yml,bitbucket-pipelines.yml,cloudbuild.yaml,buildspec.yml,appveyor.yml}",
            "**/.{circleci,buildkite,woodpecker,forgejo,gitea}/**",
            "**/{Dockerfile,Containerfile}{,.*}",
            "**/{*.Dockerfile,docker-bake.hcl}",
            "**/{docker-,}compose{,.*}.{yml,yaml}",
        ),
        reason="edited like the project's code",
    ),
    Kind(
        "agent-instructions",
        "coding agents, which follow what they read",
        listed=("**/{AGENTS.md,CLAUDE.md,GEMINI.md,QWEN.md,.cursorrules,.windsurfrules,.goosehints}",),
        reason="instructions, not programs",
    ),
    Kind(
        "agent-memory",
        "coding agents, when they go on with an earlier session",
        listed=(
            "${claude}/{session-env,shell-snapshots,projects,sessions,file-history,ide,tasks,teams,plans,uploads,todos,history.jsonl}",
            "${codex}/{sessions,memories,shell_snapshots,tmp,.tmp,attachments,history.jsonl,*.sqlite*}",
            "/tmp/{claude,codex-}*",  # noqa: S108 - a pattern
        ),
        reason="an agent keeps there what it did and what it is to start with",
        tree=True,
    ),
    Kind(
        "git-content",
        "git, when it checks out, merges or applies what was committed or stashed",
        listed=(
            "**/.git/{,modules/**/}objects",
            "**/*.git/objects",
            # Which of it is meant: `git reset --hard`, `git stash pop`. What git-lfs puts in the place of its pointers.
            "**/*.git/{refs/{[!r],r[!e],re[!p]}*,packed-refs,reftable,logs,shallow,lfs,annex}",
            "**/*.git/{modules,worktrees}/**/{refs/{[!r],r[!e],re[!p]}*,packed-refs,reftable,logs,shallow,lfs,annex}",
            # What a person goes on with: the branch that is checked out, a merge that was begun, the next commit.
            "**/.git/{,modules/**/,worktrees/**/}{HEAD,*_HEAD,AUTO_MERGE,index}",
        ),
        reason="committing is what a session may do; of a repository each is one thing",
        tree=True,
    ),
    Kind(
        "dependencies",
        "whatever uses the dependency, at its next start",
        listed=(
            "**/{node_modules,bower_components,.venv,venv,.virtualenv,.tox,.nox,.eggs,__pypackages__,.bundle,vendor/bundle,__pycache__}",
        ),
        reason="package clients fill them",
        tree=True,
    ),
    Kind(
        "build-output",
        "whoever starts what was built",
        listed=(
            "**/target/{debug,release}",
            "**/{.next,.nuxt,.svelte-kit,.turbo,.parcel-cache,.gradle,.dart_tool,.build,_build,.stack-work,zig-cache}",
        ),
        reason="builds fill them",
        tree=True,
    ),
    Kind(
        "caches",
        "package clients and compilers, which run what they find there",
        listed=(
            "~/.cache/*",
            "~/.{npm,pnpm-store,node-gyp,stack,ivy2,nuget,hex,mix,yarn/berry}",
            "~/.local/{share/{pnpm,virtualenvs,NuGet,uv,pipx,mise},state/{pnpm,uv,yarn}}",
            "~/.cargo/{registry,git}",
            "~/go/pkg",
            "~/.m2/{repository,wrapper}",
            "~/.gradle/*",
            "~/.{gem,bundle,composer,cabal,bun,conda,pyenv,rustup,deno,terraform.d}",
            "~/{miniconda3,anaconda3,miniforge3,mambaforge}/pkgs",
            "/usr/local/share/.cache/yarn",
            "@named-caches",
        ),
        reason="package clients fill them, and check at most what they download",
        tree=True,
    ),
    Kind(
        "programs",
        "whoever starts it",
        reason="compilers make them, people write them: executable files, libraries, scripts that name an interpreter",
        finds="programs",
    ),
    Kind(
        "code",
        "whoever runs, builds or loads it",
        listed=(
            # Without being asked, pytest takes these for doctests.
            "**/test*.txt",
            "**/*.{py,pyw,pyi,pyx,pxd,ipynb,js,cjs,mjs,jsx,ts,cts,mts,tsx,vue,svelte,astro,rb,rake,php,phtml,pl,pm,t,tcl,lua,r,R,jl}",
            "**/*.{sh,bash,zsh,fish,ksh,csh,bat,cmd,ps1,psm1,awk,sed,vim,el,lisp,scm,clj,cljs,cljc,edn,ex,exs,erl,hrl,hs,lhs,ml,mli,nix}",
            "**/*.{c,h,cc,cpp,cxx,hh,hpp,hxx,inc,inl,ipp,m,mm,s,S,asm,ld,cu,cl,rs,go,java,kt,kts,scala,groovy,swift,d,zig,nim,v,cr,cs,fs,vb}",
            "**/*.{proto,thrift,g4,y,l,sql,html,htm,ejs,hbs,j2,jinja,jinja2,tmpl,erb,haml,pug,wasm,wat}",
            "**/*.{css,scss,sass,less,styl,svg,xhtml,xsl,xslt,jsp,aspx,cshtml,razor,twig,liquid,njk,slim,mustache,eex,heex,leex,mdx,Rmd,qmd,Rnw}",
            "**/*.{tex,sty,cls,org,bats,exp,nu,xsh,rkt,sml,fnl,coffee,ls,re,res,elm,purs,lean,f,f90,for,pas,adb,ads,sv,svh,vhd,gd,qml,star,bicep}",
            "**/*.{rego,tfvars,graphql,prisma,fsx,csx,vbs,ahk,scpt,command,desktop,service,timer,rules,rds,rda,h5,keras,pt,npy,pyz,pyzw,phar,pyd}",
            "**/*.{exe,com,bin,run,ll,bc,deb,rpm,apk,nupkg,vsix,xpi,so,so.*,dll,dylib,a,o,node,jar,war,class,whl,egg,pyc,pkl,pickle,joblib,gem,crate,tgz}",
        ),
        reason="it is what a session is there to write, so one line has it",
        is_code=True,
    ),
    Kind(
        "settings",
        "the tool whose settings they are",
        listed=(
            "**/*.{toml,ini,cfg,conf,config,rc,properties,yml,yaml,json,jsonc,json5,xml,plist,hcl,kdl,cue,dhall,jsonnet,neon}",
            # Whatever begins with a dot, or lies in a folder that does, but for git's own.
            "**/.*",
            "**/.{[!g],g[!i],gi[!t],git[!.]}*/**",
            "${claude}/**",
            "${codex}/**",
            "**/[A-Z]*file{,.*}",
        ),
        reason="many a tool loads programs that its settings name",
        is_code=True,
    ),
    Kind(
        "named",
        "what names it: a build, a script, a task, settings",
        reason="a build reads it, a script runs it; which of both, its name does not say",
        finds="named",
    ),
    Kind(
        "others",
        "whatever opens it: what it is, its name does not say",
        reason="a tool that this table has never heard of may run it; pictures and sounds are not listed",
        finds="others",
        is_code=True,
    ),
    Kind(
        "documents",
        "what builds or tests documentation; agents, which follow what they read",
        reason="doctests, code in front of a page or in a block of it: some tools take code out of texts for people",
        finds="documents",
        is_code=True,
        is_quiet=True,
    ),
)

#: Where a link may lead without being listed: only the system's owner puts programs there.
_CALM: Final = ("/{usr,bin,sbin,lib,lib32,lib64,libx32,opt,nix,snap,proc,dev,sys}/**", "/gnu/store/**")

#: Sets that are about folders which somebody opens, with what of them is about the person instead.
_OF_FOLDERS: Final = {"@agent-config": "@agent-user-config", "@editor-config": ""}


def _anywhere(kind: Kind) -> Iterator[str]:
    """What of a kind is denied wherever it lies."""
    yield from filter(None, (_OF_FOLDERS.get(path, path) for path in kind.denied))


RUNS_LATER_SETS: Final[dict[str, tuple[str, ...]]] = {
    "runs-later": tuple(path for kind in KINDS for path in kind.denied if kind.rule == "runs-later"),
    "runs-anywhere": tuple(path for kind in KINDS for path in _anywhere(kind) if kind.rule == "runs-later"),
    "runs-later-listed": tuple(path for kind in KINDS if not (kind.tree or kind.is_code) for path in kind.listed),
}


def layer() -> JsonObject:
    """A layer whose rules are the kinds, for their patterns to be expanded and placed as a policy's are. It decides
    nothing.
    """
    rules = [
        {
            "id": kind.name,
            "deny": "file.change",
            "path": [*kind.denied, *kind.listed],
            "except": ["@sample-hooks"],
        }
        for kind in KINDS
        if kind.denied or kind.listed
    ]
    calm = {"id": "calm", "deny": "file.change", "path": list(_CALM)}
    return {"interlock": 1, "name": "runs-later", "rules": [*rules, calm]}


def to_look_for(compiled: CompiledLayer) -> JsonObject:
    """What the supervisor is to look for (`runs_later`, spec/supervisor.md), from `layer` as it was compiled."""
    found: dict[str, Match] = {rule["id"].rpartition("/")[2]: rule["match"] for rule in compiled["rules"]}
    kinds = [
        {
            "name": kind.name,
            "paths": found.get(kind.name, {}).get("path", []),
            "except": found.get(kind.name, {}).get("except", []),
            "tree": kind.tree,
            "in_trees": kind.in_trees,
            "finds": kind.finds,
            "keys": kind.keys and kind.keys._asdict(),
        }
        for kind in KINDS
    ]
    inert: JsonObject = {"endings": list(INERT_ENDINGS), "names": []}
    documents: JsonObject = {"endings": list(DOCUMENT_ENDINGS), "names": list(DOCUMENT_NAMES)}
    return {"kinds": kinds, "calm": found["calm"]["path"], "inert": inert, "documents": documents}


def place_of_key(kind: str, key: str) -> int:
    """In which place a key of what is of this kind is told: those first that are known to run something."""
    keys = next((each.keys for each in KINDS if each.name == kind), None)
    first = keys.first if keys is not None else ()
    return next((place for place, pattern in enumerate(first) if fnmatchcase(key, pattern)), len(first))


def runner_of(kind: str) -> str:
    """Who would run what is of this kind."""
    return next((each.runner for each in KINDS if each.name == kind), kind)
