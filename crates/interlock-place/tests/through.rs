//! Names that rules keep wherever they are: the links at them, the steps on the way, other hard links; and what a walk remembers of the last one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use interlock_place::{Begun, Ground, place_walked};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A workspace below a root of its own, and a folder for what walks keep.
struct Work(PathBuf);

impl Work {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("through-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("work")).unwrap();
        fs::create_dir_all(root.join("kept")).unwrap();
        Self(root)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join("work").join(path)
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
        Ground { root: self.0.clone(), worked_in: vec!["/work".into()], ..Ground::default() }
    }

    fn keeping(&self) -> Ground {
        Ground { kept: self.0.join("kept"), ..self.ground() }
    }

    /// What a rule that denies a verb on these paths comes to, where a session may change all of the workspace; and what is short of it.
    fn denied(&self, ground: &Ground, verb: &str, selectors: Value) -> (Value, Value) {
        self.walked(ground, None, verb, selectors)
    }

    /// The same where the walk was begun before.
    fn walked(&self, ground: &Ground, begun: Option<Begun>, verb: &str, selectors: Value) -> (Value, Value) {
        let rules = json!([
            {"id": "work", "decision": "allow", "verbs": ["file.create", "file.rename"], "match": {"path": ["/work/**"]}},
            {"id": "r", "decision": "deny", "verbs": [verb], "match": selectors, "best_effort": true, "source": {"file": "p", "line": 1, "column": 1}},
        ]);
        let placed = place_walked(&json!([{"name": "a", "origin": "user", "rules": rules}]).to_string(), 1, ground, begun).unwrap();
        let policy: Value = serde_json::from_str(&placed.policy).unwrap();
        (policy["layers"][0]["rules"][1]["match"].clone(), serde_json::from_str(&placed.short).unwrap())
    }

    /// The patterns that are added to those of a rule about changes.
    fn added(&self, patterns: &[&str]) -> Vec<String> {
        let (matched, short) = self.denied(&self.ground(), "file.write", json!({"path": patterns}));
        assert_eq!(short, json!([]));
        let texts = matched["path"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
        let mut texts: Vec<String> = texts.filter(|text| !patterns.contains(&text.as_str())).collect();
        texts.sort();
        texts
    }

    fn inode(&self, path: &str) -> Value {
        let status = fs::symlink_metadata(self.at(path)).unwrap();
        json!({"device": status.dev(), "number": status.ino()})
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

const TOOL: [&str; 1] = ["**/.tool/set.json"];

#[test]
fn what_a_kept_name_leads_to_is_kept() {
    let work = Work::new();
    work.link("deep/er/.tool", "../src")
        .file("deep/src/set.json")
        .link(".env", "config/prod")
        .file("config/prod")
        .link("other/.tool", "gone");
    assert_eq!(work.added(&TOOL), ["/work/deep/src/set.json", "/work/other/gone/set.json"]);
    assert_eq!(work.added(&["**/.env"]), ["/work/config/prod"]);
    work.file("a/.tool/set.json").link("b/.tool", "../a/.tool");
    assert_eq!(work.added(&["**/.tool/deep/*"]), ["/work/deep/src/deep/*", "/work/other/gone/deep/*"], "`b/.tool` leads to such a name");
}

#[test]
fn a_link_below_a_kept_folder_is_followed_too() {
    let work = Work::new();
    work.link(".tool/skills/one", "../../src/one").link(".tool/x", "../file*").file(".tool/plain");
    assert_eq!(work.added(&["**/.tool/**"]), ["/work/file\\*/**", "/work/src/one/**"]);
    assert_eq!(work.added(&["/work/.tool/**"]), ["/work/file\\*/**", "/work/src/one/**"], "and where the pattern names the place");
}

#[test]
fn each_step_of_the_way_is_kept_where_a_session_could_change_it() {
    let work = Work::new();
    work.link("p/.tool", "../hop").link("hop", "a/.tool").file("a/.tool/set.json");
    assert_eq!(work.added(&TOOL), ["/work/hop", "/work/hop/set.json"]);
    let (reading, _) = work.denied(&work.ground(), "file.read", json!({"path": TOOL}));
    assert_eq!(reading["path"], json!(TOOL), "what may only not be read is read by no other name");
}

#[test]
fn a_folder_behind_which_the_way_goes_up_again_is_kept() {
    let work = Work::new();
    work.link("p/.tool", "a/../b").file("p/a/x").file("p/b/set.json");
    assert_eq!(work.added(&TOOL), ["/work/p/a", "/work/p/b/set.json"]);
    let through = Work::new();
    through.link(".tool", "l/../b").link("l", "far/off").file("far/off/x").file("far/b/set.json");
    assert_eq!(through.added(&TOOL), ["/work/far/b/set.json", "/work/far/off", "/work/l"]);
}

#[test]
fn the_steps_on_the_way_of_a_named_place_are_kept() {
    let work = Work::new();
    work.link("conf", "v2").file("v2/set.json");
    assert_eq!(work.added(&["/work/conf/set.json"]), ["/work/conf", "/work/v2", "/work/v2/set.json"]);
}

#[test]
fn a_file_with_another_name_is_an_object_and_what_is_excepted_is_none() {
    let work = Work::new();
    work.file("app/.env").file("app/.env.test").file("alone/.env");
    fs::hard_link(work.at("app/.env"), work.at("plain")).unwrap();
    fs::hard_link(work.at("app/.env.test"), work.at("sample")).unwrap();
    let (matched, short) = work.denied(&work.ground(), "file.read", json!({"path": ["**/.env", "**/.env.*"], "except": ["**/.env.test"]}));
    assert_eq!((&matched["inodes"], short), (&json!([work.inode("app/.env")]), json!([])));
    work.link("sub/.env.test", "../open");
    let (matched, _) = work.denied(&work.ground(), "file.read", json!({"path": ["**/.env.*"], "except": ["**/.env.test"]}));
    assert_eq!(matched["path"], json!(["**/.env.*"]));
}

#[test]
fn a_link_is_kept_by_where_its_folder_begins_and_not_by_where_it_leads() {
    let work = Work::new();
    work.link(".tool", "tree/tool").file("tree/tool/x").link("tree/p/.tool", "../q").file("tree/q/x");
    let selectors = json!({"path": ["**/.tool/**"], "except_within": ["/work/tree/**"]});
    let (matched, _) = work.denied(&work.ground(), "file.create", selectors);
    assert_eq!(matched["path"], json!(["**/.tool/**", "/work/tree/tool/**"]));
}

#[test]
fn the_target_of_a_link_that_has_another_name_is_an_object_too() {
    let work = Work::new();
    work.link(".env", "prod").file("prod");
    fs::hard_link(work.at("prod"), work.at("same")).unwrap();
    let (matched, _) = work.denied(&work.ground(), "file.read", json!({"path": ["**/.env"]}));
    assert_eq!((&matched["path"], &matched["inodes"]), (&json!(["**/.env", "/work/prod"]), &json!([work.inode("prod")])));
}

#[test]
fn what_is_public_stays_so_and_the_whole_workspace_is_not_taken() {
    let work = Work::new();
    work.link(".env", "/dev/null").link("a/.env", "/etc/hosts").link("loop/.env", ".env");
    assert_eq!(work.added(&["**/.env"]), Vec::<String>::new());
    work.link(".tool", ".");
    assert_eq!(work.added(&TOOL), ["/work/set.json"]);
    let (matched, short) = work.denied(&work.ground(), "file.write", json!({"path": ["**/.tool/**"]}));
    assert_eq!(matched["path"], json!(["**/.tool/**"]));
    assert!(
        short[0]["enforcement"]["reason"].as_str().unwrap().contains("`/work/.tool` leads to a folder that holds the workspace"),
        "{short}"
    );
}

#[test]
fn what_was_not_walked_is_said_of_each_rule() {
    let work = Work::new();
    work.file("d/.env");
    let ground = Ground { missing: vec!["workspace-walk".into()], ..work.ground() };
    let (_, short) = work.denied(&ground, "file.read", json!({"path": ["**/.env"]}));
    assert_eq!((short[0]["rule"].as_str(), short[0]["enforcement"]["state"].as_str()), (Some("a/r"), Some("partially")));
    let (_, elsewhere) = work.denied(&ground, "file.read", json!({"path": ["/other/**"]}));
    assert_eq!(elsewhere, json!([]));
}

#[test]
fn a_folder_that_may_be_searched_and_not_read_is_said() {
    let work = Work::new();
    work.file("shut/.env").file("dark/.env");
    fs::set_permissions(work.at("shut"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(work.at("dark"), fs::Permissions::from_mode(0o111)).unwrap();
    let (_, short) = work.denied(&work.ground(), "file.read", json!({"path": ["**/.env"]}));
    let is_root = fs::read_dir(work.at("dark")).is_ok();
    let reason = short[0]["enforcement"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(is_root || reason.contains("`/work/dark` cannot be read"), "{short}");
    ["shut", "dark"].iter().for_each(|name| fs::set_permissions(work.at(name), fs::Permissions::from_mode(0o755)).unwrap());
}

/// The same tree is placed alike whatever an earlier walk kept of it.
#[test]
fn what_is_kept_of_a_walk_changes_nothing() {
    let work = Work::new();
    for folder in 0..300 {
        work.file(&format!("d{}/e{folder}/f", folder % 7));
    }
    work.file("d1/e1/.env").file("d2/.tool/set.json").link("d3/e3/.tool", "../../src").file("gone/.env/x");
    std::thread::sleep(Duration::from_millis(2_700));
    let both = || {
        let place = |ground: &Ground| work.denied(ground, "file.write", json!({"path": ["**/.env", "**/.tool/**"]}));
        let begun = Begun::of("/work", &work.0, &work.0.join("kept"));
        let ahead = work.walked(&work.keeping(), begun, "file.write", json!({"path": ["**/.env", "**/.tool/**"]}));
        let (fresh, kept) = (place(&work.ground()), place(&work.keeping()));
        assert_eq!(fresh, ahead, "the walk was begun before");
        assert_eq!(fresh, kept);
        kept.0
    };
    let first = both();
    assert_eq!(first, both(), "from what was kept");
    let changes: [(&str, &dyn Fn()); 7] = [
        ("another hard link, elsewhere", &|| fs::hard_link(work.at("d1/e1/.env"), work.at("d6/plain")).unwrap()),
        ("a link deep below", &|| {
            work.link("d4/e4/.tool", "../../lib");
        }),
        ("a link made again", &|| {
            fs::remove_file(work.at("d3/e3/.tool")).unwrap();
            work.link("d3/e3/.tool", "../../other");
        }),
        ("a folder moved with all in it", &|| fs::rename(work.at("d3"), work.at("d5/moved")).unwrap()),
        ("a folder in the place of another", &|| {
            fs::rename(work.at("d2"), work.at("d6/two")).unwrap();
            work.link("d2/.tool", "../instead");
        }),
        ("a time set back", &|| {
            let old = fs::metadata(work.at("d0/e0")).unwrap().modified().unwrap();
            work.link("d0/e0/.env", "../../secret");
            fs::File::open(work.at("d0/e0")).unwrap().set_modified(old).unwrap();
        }),
        ("a folder gone", &|| fs::remove_dir_all(work.at("d5")).unwrap()),
    ];
    let mut before = first;
    for (change, make) in changes {
        make();
        let now = both();
        assert_ne!(before, now, "{change}");
        before = now;
    }
}

/// A walk that was begun for other patterns finds nothing for these.
#[test]
fn a_walk_begun_for_other_patterns_is_not_used() {
    let work = Work::new();
    work.link("a/.env", "../secret").link("b/.tool", "../../src");
    std::thread::sleep(Duration::from_millis(2_700));
    let paths = |path: &str| json!({"path": [path]});
    work.denied(&work.keeping(), "file.write", paths("**/.env"));
    let begun = Begun::of("/work", &work.0, &work.0.join("kept"));
    assert_eq!(
        work.walked(&work.keeping(), begun, "file.write", paths("**/.tool/**")),
        work.denied(&work.ground(), "file.write", paths("**/.tool/**"))
    );
}
