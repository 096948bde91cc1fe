//! Placing a policy below a root of its own: links, what may be followed, hard links, and how far the search goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use interlock_place::{Ground, Placed, place};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A machine of a few names.
struct Machine(PathBuf);

impl Machine {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("place-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir(&root).unwrap();
        Self(root)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn file(&self, path: &str) -> &Self {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), "x").unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        symlink(target, self.at(path)).unwrap();
        self
    }

    fn ground(&self) -> Ground {
        Ground { root: self.0.clone(), ..Ground::default() }
    }

    fn place(&self, rules: Value) -> Placed {
        place(&layers(rules), 1, &self.ground()).unwrap()
    }

    fn inode(&self, path: &str) -> Value {
        let status = fs::metadata(self.at(path)).unwrap();
        json!({"device": status.dev(), "number": status.ino()})
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn layers(rules: Value) -> String {
    json!([{"name": "a", "origin": "user", "rules": rules}]).to_string()
}

fn rule(decision: &str, verbs: Value, paths: Value) -> Value {
    json!({"id": "r", "decision": decision, "verbs": verbs, "match": {"path": paths}})
}

fn deny(paths: Value) -> Value {
    json!([rule("deny", json!(["file.read"]), paths)])
}

fn matched(placed: &Placed) -> Value {
    let policy: Value = serde_json::from_str(&placed.policy).unwrap();
    policy["layers"][0]["rules"][0]["match"].clone()
}

#[test]
fn a_link_in_the_front_is_followed_and_the_pattern_as_written_stays() {
    let machine = Machine::new();
    machine.link("bin", "usr/bin").link("home/key", "../vault/*").file("usr/bin/sh").file("vault/*/k");
    let placed = machine.place(deny(json!(["/bin/**", "/home/key/k*", "/usr/bin/sh"])));
    assert_eq!(matched(&placed)["path"], json!(["/bin/**", "/usr/bin/**", "/home/key/k*", "/vault/\\*/k*", "/usr/bin/sh"]));
}

#[test]
fn proc_is_never_entered_and_a_loop_is_left_as_it_is() {
    let machine = Machine::new();
    machine.link("etc/mtab", "../proc/self/mounts").link("etc/fd", "/proc/self/fd").link("proc/self", "1").link("a", "b").link("b", "a");
    let placed = machine.place(deny(json!(["/etc/mtab", "/etc/fd/**", "/proc/self/**", "/a/**"])));
    assert_eq!(matched(&placed)["path"], json!(["/etc/mtab", "/etc/fd/**", "/proc/self/**", "/a/**"]));
}

#[test]
fn a_target_that_is_no_text_is_followed_byte_for_byte() {
    let machine = Machine::new();
    symlink(std::ffi::OsStr::from_bytes(b"/\xff"), machine.at("a")).unwrap();
    let placed = machine.place(deny(json!(["/a/**"])));
    assert_eq!(matched(&placed)["path"], json!(["/a/**", {"base64": "L/8vKio="}]));
}

#[test]
fn what_would_widen_does_not_follow_a_link_that_a_session_could_make() {
    let machine = Machine::new();
    machine.link("work/out", "/home/keys").file("home/keys/k");
    let placed = machine.place(json!([rule("allow", json!(["file.read", "file.create"]), json!(["/work/out/**", "/work/**"]))]));
    assert_eq!(matched(&placed)["path"], json!(["/work/out/**", "/work/**"]));
    assert!(placed.warnings[0].contains("`/work/out` -> `/home/keys`"), "{:?}", placed.warnings);
    assert!(placed.warnings[0].contains("name `/home/keys/**` if you mean it"));
    let denied = machine.place(deny(json!(["/work/out/**"])));
    assert_eq!(matched(&denied)["path"], json!(["/work/out/**", "/home/keys/**"]));
    assert_eq!(denied.warnings, Vec::<String>::new());
}

#[test]
fn an_allow_of_every_path_could_make_any_link() {
    let machine = Machine::new();
    machine.link("a", "b");
    let everywhere = json!({"id": "x", "decision": "allow", "verbs": ["file.create"], "match": {}});
    let placed = machine.place(json!([rule("allow", json!(["file.read"]), json!(["/a/**"])), everywhere]));
    assert_eq!(matched(&placed)["path"], json!(["/a/**"]));
    assert_eq!(placed.warnings.len(), 1);
}

#[test]
fn a_denied_file_with_another_name_is_matched_by_inode_unless_excepted() {
    let machine = Machine::new();
    for name in ["s/a.key", "s/deep/b.key", "s/c.pub", "s/alone.key"] {
        machine.file(name);
    }
    for name in ["s/a.key", "s/deep/b.key", "s/c.pub"] {
        fs::hard_link(machine.at(name), machine.at(&format!("other-{}", name.replace('/', "-")))).unwrap();
    }
    let found = |paths: Value, except: Value| {
        let rule = json!({"id": "r", "decision": "deny", "verbs": ["file.read"], "match": {"path": paths, "except": except}});
        matched(&machine.place(json!([rule])))["inodes"].clone()
    };
    let sorted = |names: &[&str]| {
        let mut inodes: Vec<Value> = names.iter().map(|name| machine.inode(name)).collect();
        inodes.sort_by_key(|inode| inode["number"].as_u64());
        json!(inodes)
    };
    assert_eq!(found(json!(["/s/a.key"]), json!([])), sorted(&["s/a.key"]));
    assert_eq!(found(json!(["/s/*.key"]), json!([])), sorted(&["s/a.key"]));
    assert_eq!(found(json!(["/s/*/*.key"]), json!([])), sorted(&["s/deep/b.key"]));
    assert_eq!(found(json!(["/s/**/*.key"]), json!([])), sorted(&["s/a.key", "s/deep/b.key"]));
    assert_eq!(found(json!(["/s/**"]), json!(["**/*.pub"])), sorted(&["s/a.key", "s/deep/b.key"]));
    assert_eq!(found(json!(["/s/alone.key", "/s/x/**"]), json!([])), Value::Null);
}

#[test]
fn folders_that_are_not_searched_and_those_no_component_leads_to_are_not_counted() {
    let machine = Machine::new();
    for number in 0..4_200 {
        machine.file(&format!("state/logs/{number}"));
    }
    fs::create_dir_all(machine.at("tmp/other")).unwrap();
    for number in 0..4_200 {
        fs::write(machine.at(&format!("tmp/other/{number}")), "x").unwrap();
    }
    let mut ground = machine.ground();
    ground.unsearched = vec!["/state/logs".into()];
    let placed = place(&layers(deny(json!(["/state/**", "/tmp/ssh-*/agent.*"]))), 1, &ground).unwrap();
    assert_eq!(placed.warnings, Vec::<String>::new());
    let searched = machine.place(deny(json!(["/state/**"])));
    assert!(searched.short.contains("more than 4096 files"), "{:?}", searched.short);
    assert_eq!(placed.short, "[]");
}

/// The rules that are not enforced whole: each its name, state and whether it says so.
fn short(placed: &Placed) -> Vec<(String, String, bool)> {
    let all: Value = serde_json::from_str(&placed.short).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |each: &Value| (text(&each["rule"]), text(&each["enforcement"]["state"]), each["best_effort"] == true);
    all.as_array().unwrap().iter().map(one).collect()
}

fn single(id: &str, decision: &str, verb: &str, matched: Value, best_effort: bool) -> Value {
    json!({"id": id, "decision": decision, "verbs": [verb], "match": matched, "best_effort": best_effort, "source": {"file": "p", "line": 1, "column": 1}})
}

#[test]
fn best_effort_rules_share_what_is_looked_at_and_each_other_has_its_own() {
    let machine = Machine::new();
    for number in 0..4_200 {
        machine.file(&format!("much/{number}"));
    }
    machine.file("little/a");
    let deny = |id: &str, path: &str, best_effort| single(id, "deny", "file.read", json!({"path": [path]}), best_effort);
    let rules = json!([deny("much", "/much/**", true), deny("after", "/little/**", true), deny("own", "/little/**", false)]);
    let found = short(&machine.place(rules));
    assert_eq!(found, [("a/much".into(), "partially".into(), true), ("a/after".into(), "partially".into(), true)]);
}

#[test]
fn a_crowded_folder_hides_nothing_that_a_pattern_leads_to() {
    let machine = Machine::new();
    for number in 0..4_200 {
        machine.file(&format!("tmp/other-{number}"));
    }
    machine.file("tmp/key-1");
    fs::hard_link(machine.at("tmp/key-1"), machine.at("tmp/another")).unwrap();
    let placed = machine.place(json!([single("keys", "deny", "file.read", json!({"path": ["/tmp/key-*"]}), false)]));
    assert_eq!((short(&placed), &matched(&placed)["inodes"]), (vec![], &json!([machine.inode("tmp/key-1")])));
}

#[test]
fn names_are_exact_on_a_file_system_that_tells_spellings_apart() {
    let machine = Machine::new();
    machine.file("work/Readme").file("work/readme").file("work/empty/x");
    fs::remove_file(machine.at("work/empty/x")).unwrap();
    fs::hard_link(machine.at("work/Readme"), machine.at("work/rEADME")).unwrap();
    let rules = json!([single("names", "deny", "file.read", json!({"path": ["/work/**/readme", "/work/empty/**/x", "**/x"]}), false)]);
    let mut ground = Ground { worked_in: vec!["/work".into()], ..machine.ground() };
    assert_eq!(short(&place(&layers(rules.clone()), 1, &ground).unwrap()), []);
    ground.missing = vec!["exact-names".into()];
    assert_eq!(short(&place(&layers(rules), 1, &ground).unwrap()), [("a/names".into(), "partially".into(), false)]);
}

#[test]
fn a_whole_folder_needs_exact_names_only_on_the_way_to_it() {
    let machine = Machine::new();
    machine.file("work/a");
    let ground = Ground { worked_in: vec!["/work".into()], missing: vec!["exact-names".into()], ..machine.ground() };
    let of = |path: &str| json!([single("names", "deny", "file.read", json!({"path": [path]}), true)]);
    assert_eq!(short(&place(&layers(of("/work/**")), 1, &ground).unwrap()), []);
    assert_eq!(short(&place(&layers(of("/work/keys/**")), 1, &ground).unwrap()).len(), 1);
    let allowed = json!([single("names", "allow", "file.read", json!({"path": ["/work/a"]}), false)]);
    assert_eq!(short(&place(&layers(allowed), 1, &ground).unwrap()), []);
}

#[test]
fn a_rule_that_only_lets_trace_is_not_enforced() {
    let machine = Machine::new();
    let mut both = single("both", "allow", "process.ptrace", json!({}), false);
    both["verbs"] = json!(["process.exec", "process.ptrace"]);
    let rules = json!([
        single("trace", "allow", "process.ptrace", json!({}), false),
        single("never", "deny", "process.ptrace", json!({}), false),
        both,
    ]);
    assert_eq!(short(&machine.place(rules)), [("a/trace".into(), "not enforced".into(), false)]);
}

#[test]
fn the_own_code_is_searched_only_where_an_installer_shared_it() {
    let machine = Machine::new();
    machine.file("lib/a.py").file("lib/b.py");
    fs::hard_link(machine.at("lib/b.py"), machine.at("cache-b")).unwrap();
    let mut ground = machine.ground();
    ground.own = vec!["/lib".into()];
    let place = |ground: &Ground| matched(&interlock_place::place(&layers(deny(json!(["/lib/**"]))), 1, ground).unwrap())["inodes"].clone();
    let first = fs::read_dir(machine.at("lib")).unwrap().next().unwrap().unwrap().file_name();
    let expected = if Path::new(&first) == Path::new("b.py") { json!([machine.inode("lib/b.py")]) } else { Value::Null };
    assert_eq!(place(&ground), expected);
    fs::hard_link(machine.at("lib/a.py"), machine.at("cache-a")).unwrap();
    assert_eq!(place(&ground).as_array().unwrap().len(), 2);
}

#[test]
fn the_sessions_folder_is_put_in_and_layers_beside_are_placed_but_bring_nothing() {
    let machine = Machine::new();
    machine.file("home/k").link("l", "home");
    fs::hard_link(machine.at("home/k"), machine.at("k2")).unwrap();
    let mut ground = machine.ground();
    ground.stand_ins = vec![("/run/stand-in".into(), "/run/s-[1]".into())];
    let both = json!([
        {"name": "a", "origin": "user", "rules": deny(json!(["/run/stand-in/x"]))},
        {"name": "b", "origin": "builtin", "rules": deny(json!(["/l/k"]))},
    ]);
    let placed = place(&both.to_string(), 1, &ground).unwrap();
    assert_eq!(matched(&placed)["path"], json!(["/run/s-\\[1\\]/x"]));
    assert_eq!(placed.names, ["a"]);
    let aside: Value = serde_json::from_str(&placed.aside).unwrap();
    assert_eq!(aside[0]["rules"][0]["match"], json!({"path": ["/l/k", "/home/k"]}));
    assert!(placed.policy.contains(&format!("\"digest\":\"{}\"", placed.digest)));
    assert!(interlock_core::policy::Policy::from_json(&placed.policy).is_ok_and(|policy| policy.digest() == placed.digest));
}

#[test]
fn what_is_no_list_of_layers_is_refused() {
    for text in ["", "{}", "[1]", r#"[{"name": "a"}]"#, r#"[{"name": "a", "rules": [{"id": "r", "decision": "deny", "verbs": []}]}]"#] {
        assert!(place(text, 1, &Ground::default()).is_err(), "{text}");
    }
}
