//! What differs between two states of a file, and what is not read because two readers could read it differently.
#![allow(missing_docs, clippy::unwrap_used)]

use interlock_core::content::{Change, Format, Reading};
use interlock_keys::{BYTES_MAX, compare, read};

fn changed(format: Format, before: Option<&str>, now: Option<&str>) -> Vec<(String, Option<String>)> {
    match compare(format, before.map(str::as_bytes), now.map(str::as_bytes), |_| true) {
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
        assert!(read(Format::Json, text.as_bytes()).is_err(), "{text}");
    }
    for text in ["a = 1\na = 2", "[a]\n[a]", "a.b = 1\n[a]\nb = 2", "a = 1\n[a.b]\n", "a"] {
        assert!(read(Format::Toml, text.as_bytes()).is_err(), "{text}");
    }
    for text in ["[core]\nk = \0", "[core", "k = 1", "[core \"\"]\nk = 1", "[core.]\nk = 1"] {
        assert!(read(Format::Git, text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(read(Format::Git, b"[a]\nk = \xff").is_err());
    assert!(read(Format::Json, &vec![b' '; BYTES_MAX + 1]).is_err());
}

#[test]
fn more_than_a_record_holds_is_not_told() {
    let now = format!("{{\"hooks\": \"{}\"}}", "x".repeat(70_000));
    assert!(matches!(compare(Format::Json, None, Some(now.as_bytes()), |_| true), Reading::Unreadable(_)));
    assert_eq!(compare(Format::Json, None, Some(now.as_bytes()), |_| false), Reading::Changes(Vec::new()));
}
