//! What differs between two states of a file, and what is not read because two readers could read it differently.
#![allow(missing_docs, clippy::unwrap_used)]

use interlock_core::content::{Change, Format, Reading};
use interlock_keys::{BYTES_MAX, compare, read};

fn changed(format: Format, before: Option<&str>, now: Option<&str>) -> Vec<(String, Option<String>)> {
    match compare((format, b""), before.map(str::as_bytes), now.map(str::as_bytes), |_| true) {
        Reading::Changes(changes) => changes.into_iter().map(|Change { key, to }| (key.join("/"), to)).collect(),
        Reading::Unreadable(why) => vec![(format!("unreadable: {why}"), None)],
    }
}

#[test]
fn keys_are_compared_and_not_bytes() {
    let before = r#"{"a": 1, "mcpServers": {"x": {"command": "true"}}, "list": [1, 2]}"#;
    assert_eq!(changed(Format::Json, Some(before), Some(r#"{"list":[1,2],"mcp\u0053ervers":{"x":{"command":"true"}},"a":1.0}"#)), []);
    let now = r#"{"a": 1, "mcpServers": {"y": {"args": []}}, "list": [2, 1], "empty": {}}"#;
    let expected = [("list", Some("[2,1]")), ("mcpServers/x/command", None)];
    let found = changed(Format::Json, Some(before), Some(now));
    assert_eq!(found.iter().map(|(key, to)| (key.as_str(), to.as_deref())).collect::<Vec<_>>(), expected);
    assert_eq!(changed(Format::Json, None, Some("")), []);
    assert_eq!(changed(Format::Json, Some("{}"), None), []);
    assert_eq!(changed(Format::Json, Some(r#"{"hooks": [1]}"#), None), [("hooks".to_owned(), None)]);
}

#[test]
fn tables_and_settings_are_keys_too() {
    let toml = changed(
        Format::Toml,
        Some("model = 'a'\n[mcp_servers.x]\ncommand='a'\n"),
        Some("mcp_servers.\"x\".command = \"b\"\nmodel = \"a\""),
    );
    assert_eq!(toml, [("mcp_servers/x/command".to_owned(), Some("\"b\"".to_owned()))]);
    let git = changed(Format::Git, Some("[core]\n\tbare = false\n"), Some("[core]\n\tbare = false\n\tfsmonitor = x\n[core] fsMonitor = y"));
    assert_eq!(git, [("core//fsmonitor".to_owned(), Some("x\ny".to_owned()))]);
    let behind =
        changed(Format::Git, Some("[include]\npath=x\n[core]\npager=a\n"), Some("[core]\npager=a\n[user]\nname=b\n[include]\npath=x\n"));
    assert_eq!(behind, [("core//pager".to_owned(), Some("a".to_owned())), ("user//name".to_owned(), Some("b".to_owned()))]);
    // A folder of hooks may be called so.
    let odd = changed(Format::Git, None, Some("[core]\n\thooksPath = []\n"));
    assert_eq!(odd, [("core//hookspath".to_owned(), Some("[]".to_owned()))]);
    assert_eq!(changed(Format::Toml, None, Some("a = []\n")), []);
    let one = changed(Format::Git, Some("[a]\nk = x\\ny\n"), Some("[a]\nk = x\nk = y\n"));
    assert_eq!(one, [("a//k".to_owned(), Some("x\ny".to_owned()))]);
}

#[test]
fn what_readers_could_take_differently_is_not_read() {
    let json = [
        r#"{"a": 1, "a": 1}"#,
        r#"{"a": {"b": 1, "\u0062": 2}}"#,
        "\u{feff}{}",
        r#"{"a": NaN}"#,
        "{} {}",
        "// c\n{}",
        "{\"a\": 1,}",
        "{'a': 1}",
        r#"{"__proto__": {"hooks": 1}}"#,
        r#"{"a": [{"__proto__": 1}]}"#,
        r#"{"a": "\ud800"}"#,
        r#"{"a": 1e400}"#,
        " ",
    ];
    for text in json {
        assert!(read(Format::Json, b"", text.as_bytes()).is_err(), "{text}");
    }
    for text in ["a = 1\na = 2", "[a]\n[a]", "a.b = 1\n[a]\nb = 2", "a = 1\n[a.b]\n", "a"] {
        assert!(read(Format::Toml, b"", text.as_bytes()).is_err(), "{text}");
    }
    for text in ["[core]\nk = \0", "[core", "k = 1", "[core \"\"]\nk = 1", "[core.]\nk = 1"] {
        assert!(read(Format::Git, b"", text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(read(Format::Git, b"", b"[a]\nk = \xff").is_err());
    assert!(read(Format::Json, b"", &vec![b' '; BYTES_MAX + 1]).is_err());
}

#[test]
fn more_than_a_record_holds_is_not_told() {
    let now = format!("{{\"hooks\": \"{}\"}}", "x".repeat(70_000));
    assert!(matches!(compare((Format::Json, b""), None, Some(now.as_bytes()), |_| true), Reading::Unreadable(_)));
    assert_eq!(compare((Format::Json, b""), None, Some(now.as_bytes()), |_| false), Reading::Changes(Vec::new()));
}

#[test]
fn a_submodules_work_tree_is_its_own_by_the_name_of_its_configuration() {
    let keys = |name: &str, to: &str| {
        let text = format!("[core]\nworktree = {to}\n");
        let found = read(Format::Git, name.as_bytes(), text.as_bytes()).unwrap();
        found.into_keys().map(|key| key.join(".")).collect::<Vec<_>>()
    };
    let own = [
        ("/w/.git/modules/sub/config", "../../../sub"),
        ("/w/.git/modules/lib/sub/config", "../../../../lib/sub"),
        ("/w/.git/modules/a/modules/b/config", "../../../../../a/b"),
    ];
    for (name, to) in own {
        assert_eq!(keys(name, to), ["core.of-module.worktree"], "{name} {to}");
    }
    let others = [
        ("/w/.git/config", "../../../sub"),
        ("/w/.git/modules/sub/config", "../../../other"),
        ("/w/.git/modules/sub/config", "../../../sub/"),
        ("/w/.git/modules/sub/config", "/w/sub"),
        ("/w/.git/modules/a/hooks/config", "../../../hooks"),
        ("/w/.git/modules/sub/.git/config", "../../../../sub/.git"),
        ("/w/.git/modules/.vscode/config", "../../../.vscode"),
        ("/w/.git/modules/sub/config.worktree", "../../../sub"),
        ("/w/.git/modules/config", "../../"),
        ("/w/x.git/modules/sub/config", "../../../sub"),
    ];
    for (name, to) in others {
        assert_eq!(keys(name, to), ["core..worktree"], "{name} {to}");
    }
    for (one, other, same) in
        [("/w/.git/modules/a/config", "/x/.git/modules/a/config", true), ("/w/.git/config", "/x/.git/config", true)].into_iter().chain([
            ("/w/.git/modules/hooks/config", "/w/.git/modules/a/hooks/config", false),
            ("/w/.git/modules/a/config", "/w/.git/config", false),
            ("/w/a/.git/config", "/w/.git/modules/a/config", true),
        ])
    {
        assert_eq!(interlock_keys::means_the_same(Format::Git, one.as_bytes(), other.as_bytes()), same, "{one} {other}");
    }
}
