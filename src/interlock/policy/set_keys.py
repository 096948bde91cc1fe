"""Built-in sets of keys of structured files, for `keys:` on a rule: what of them makes something run, or runs nothing.
What is named at a session's end comes from the same table (`runs_later_keys`).

A trusted folder (`hasTrustDialogAccepted`) is named there and not guarded: it is a person's own answer to a question
of the agent's, which nobody can tell from the agent's own. A key stands for all below it, and `*` for any name. Left
out: how they are matched (`spec/policy.md`, Keys).
"""

from __future__ import annotations

from typing import Final

from interlock.policy import runs_later_keys

#: Keys of git configuration that run nothing and lead nowhere; all others are guarded. `core.of-module.worktree` is how
#: a submodule's `core.worktree` is read where it leads to the folder of the submodule's name.
GIT_HARMLESS: Final = (*runs_later_keys.GIT_HARMLESS, "color.*.*", "core.of-module.worktree")

#: Members of a package.json that no client runs.
PACKAGE_HARMLESS: Final = tuple(key.removesuffix("*") for key in runs_later_keys.PACKAGE_HARMLESS)

#: Members of a coding agent's own state and settings that start something, or let it start without a question.
AGENT: Final = (
    *("mcpServers", "mcp_servers", "hooks", "permissions", "apiKeyHelper", "statusLine", "env"),
    *("awsAuthRefresh", "awsCredentialExport", "otelHeadersHelper", "sandbox", "enabledPlugins"),
    *("extraKnownMarketplaces", "enableAllProjectMcpServers", "enabledMcpjsonServers", "fileSuggestion"),
    *("gcpAuthRefresh", "proxyAuthHelper", "subagentStatusLine"),
    # Whoever has the account is let into every session, or is sent what was said in it.
    *("remoteControlAtStartup", "autoUploadSessions", "isolatePeerMachines"),
    *("projects.*.mcpServers", "projects.*.allowedTools", "projects.*.enabledMcpjsonServers"),
    *("projects.*.enabledMcpServers", "projects.*.mcpContextUris"),
)

#: Of Codex's configuration: how it looks and which model answers. All else is guarded.
CODEX_HARMLESS: Final = (
    *("model", "model_reasoning_effort", "model_reasoning_summary", "model_verbosity", "personality"),
    *("tui", "notice", "history", "hide_agent_reasoning", "show_raw_agent_reasoning", "file_opener"),
    *("check_for_update_on_startup", "disable_paste_burst"),
)

#: Of Claude Code's settings: how it looks and which model answers. All else is guarded.
CLAUDE_HARMLESS: Final = (
    *("$schema", "model", "theme", "outputStyle", "language", "editorMode", "verbose", "alwaysThinkingEnabled"),
    *("effortLevel", "cleanupPeriodDays", "includeCoAuthoredBy", "attribution", "spinnerTipsEnabled"),
    *("preferredNotifChannel", "messageIdleNotifThresholdMs", "autoCompactEnabled", "autoUpdatesChannel"),
    "showTurnDuration",
    *("terminalProgressBarEnabled", "prefersReducedMotion", "feedbackSurveyState"),
)

KEY_SETS: Final[dict[str, tuple[str, ...]]] = {
    "agent-keys": AGENT,
    "claude-harmless-keys": CLAUDE_HARMLESS,
    "git-harmless-keys": GIT_HARMLESS,
    "codex-harmless-keys": CODEX_HARMLESS,
    "package-harmless-keys": PACKAGE_HARMLESS,
}
