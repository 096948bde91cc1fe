//! What a Plan finds quickly is what its policy says, for random policies of many layers: a hearing says what `decide` says, whatever the Facts,
//! Facts that it does not ask for change nothing, and a link stands for the names that each pattern by itself asks for.
//!
//! Seeded: a failure prints the seed, and what was asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use interlock_core::action::{Action, Bytes, FileEnd, Inode, Subject, Target, Verb};
use interlock_core::beneath;
use interlock_core::decide::decide;
use interlock_core::decision::Says;
use interlock_core::digest::action_digest;
use interlock_core::facts::{Facts, History, Needs, Origin};
use interlock_core::grant::Grant;
use interlock_core::plan::{Plan, PlanAnswer};
use interlock_core::policy::Policy;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SEED: u64 = 20_261_129;
const POLICIES: u64 = 200;
const ACTS: usize = 20;
const VERBS: [Verb; 5] = [Verb::FileRead, Verb::FileCreate, Verb::FileDelete, Verb::FileRename, Verb::FileLink];
const NAMES: [&str; 7] = [".git", "hooks", ".vscode", "tasks.json", "w", "src", "x.key"];

/// Numbers that follow from the seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn path(&mut self) -> String {
        (0..=self.below(3)).map(|_| format!("/{}", self.of(&NAMES))).collect()
    }

    /// A pattern; of everything now and then, where it may be wide.
    fn pattern(&mut self, wide: bool) -> String {
        let below = self.of(&["", "/**", "/*", "/*.json", "/[a-x]*"]);
        match self.below(4) {
            0 if wide => "/**".to_owned(),
            1 => format!("{}{below}", self.path()),
            _ => format!("**{}{below}", self.path()),
        }
    }

    /// A rule of a layer in which these decisions may stand.
    fn rule(&mut self, number: usize, decisions: &[&str]) -> Value {
        let decision = self.of(decisions);
        let verbs: Vec<&str> = if decision == "steer" {
            vec!["file.read"]
        } else {
            VERBS.iter().filter(|_| self.below(3) > 0).map(|verb| verb.name()).collect()
        };
        let verbs = if verbs.is_empty() { vec!["file.create"] } else { verbs };
        let paths: Vec<String> = (0..=self.below(2)).map(|_| self.pattern(decision == "allow")).collect();
        let mut matching = json!({"path": paths});
        if self.below(3) == 0 {
            matching["except"] = json!((0..=self.below(3)).map(|_| self.pattern(false)).collect::<Vec<_>>());
        }
        if decision != "allow" && self.below(3) == 0 && paths.iter().any(|path| path.starts_with("**/")) {
            matching["except_within"] = json!([self.pattern(true)]);
        }
        if decision != "allow" && self.below(5) == 0 {
            matching["inodes"] = json!([{"device": 1, "number": self.below(4)}]);
        }
        let mut rule = json!({"id": format!("r{number}"), "decision": decision, "verbs": verbs, "match": matching});
        if decision == "steer" {
            rule["steer"] = self.of(&[json!("masked"), json!({"path": "/elsewhere"})]);
        }
        match self.below(8) {
            0 => rule["when"] = json!({"origin": self.of(&["before", "session"])}),
            1 => rule["when"] = json!({"history": self.of(&[vec!["none"], vec!["none", "tracked"], vec!["session"]])}),
            2 if decision != "allow" => rule["when"] = json!({"risk_at_least": 50}),
            3 if decision != "allow" => rule["when"] = json!({"labels_any": {"context": ["untrusted"]}}),
            _ => {}
        }
        rule
    }

    fn policy(&mut self) -> Policy {
        let layers: Vec<Value> = (0..=self.below(3))
            .map(|layer| {
                let (origin, decisions): (_, &[&str]) = if layer == 1 {
                    ("workspace", &["deny", "approve"])
                } else {
                    ("user", &["allow", "allow", "allow", "deny", "approve", "steer"])
                };
                let rules: Vec<Value> = (0..1 + self.below(9)).map(|number| self.rule(number, decisions)).collect();
                json!({"name": format!("l{layer}"), "origin": origin, "closed": self.below(5) == 0, "rules": rules})
            })
            .collect();
        Policy::from_json(&json!({"interlock": 1, "layers": layers}).to_string()).unwrap()
    }

    fn end(&mut self) -> FileEnd {
        let aliases = (0..self.below(2)).map(|_| Bytes(self.path().into_bytes())).collect();
        let inode = (self.below(2) == 0).then(|| Inode { device: 1, number: u64::try_from(self.below(5)).unwrap() });
        FileEnd { path: Bytes(self.path().into_bytes()), aliases, inode, content: None }
    }

    fn action(&mut self) -> Action {
        let verb = self.of(&VERBS);
        let FileEnd { path, aliases, inode, content } = self.end();
        // Now and then one that no edge should build.
        let target = if verb.is_pair() && self.below(30) > 0 {
            Target::Pair { path, aliases, inode, content, to: self.end(), exchange: verb == Verb::FileRename && self.below(2) == 0 }
        } else {
            Target::File(FileEnd { path, aliases, inode, content })
        };
        Action { id: "s/1".into(), plane: verb.plane(), verb, target, subject: Subject::default(), nonce: None }
    }

    fn known<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (self.below(8) > 0).then(|| self.of(all))
    }

    fn facts(&mut self, action: &Action) -> Facts {
        let origins = [Origin::Before, Origin::Session];
        let histories = [History::Tracked, History::Session, History::None];
        let labels = [BTreeMap::new(), BTreeMap::from([("context".to_owned(), ["untrusted".to_owned()].into())])];
        let yes = Grant { id: "g".into(), digest: action_digest(action), approver: "uid:0".into(), expires_ms: 9, uses: 1, reach: None };
        Facts {
            now_ms: 1,
            grants: if self.below(3) == 0 { vec![yes] } else { Vec::new() },
            risk: self.known(&[10, 90]),
            labels: self.known(&labels),
            origin: self.known(&origins),
            origin_to: self.known(&origins),
            history: self.known(&histories),
            history_to: self.known(&histories),
            findings: None,
        }
    }
}

/// What of the Facts is left when only what is asked for is gathered.
fn gathered(facts: &Facts, needs: &Needs) -> Facts {
    let known = facts.clone();
    Facts {
        now_ms: known.now_ms,
        grants: if needs.grants { known.grants } else { Vec::new() },
        risk: known.risk.filter(|_| needs.risk),
        labels: known.labels.filter(|_| !needs.labels.is_empty()),
        origin: known.origin.filter(|_| needs.origin),
        origin_to: known.origin_to.filter(|_| needs.origin),
        history: known.history.filter(|_| needs.history),
        history_to: known.history_to.filter(|_| needs.history),
        findings: known.findings.filter(|_| !needs.findings.is_empty()),
    }
}

#[test]
fn a_hearing_says_what_decide_says_and_asks_for_all_that_matters() {
    let mut random = Random(SEED);
    let mut seen = BTreeMap::<(Says, bool), usize>::new();
    for number in 0..POLICIES {
        let policy = random.policy();
        let plan = Plan::compile(&policy);
        for _ in 0..ACTS {
            let action = random.action();
            let (facts, place) = (random.facts(&action), format!("seed {SEED}, policy {number}, {action:?}"));
            let decided = decide(&policy, &action, &facts);
            let hearing = plan.hear(&action);
            assert_eq!(hearing.decide(&facts), decided, "{place}, {facts:?}");
            assert_eq!(hearing.decide(&gathered(&facts, &hearing.needs())), decided, "{place}, {facts:?}");
            let answer = hearing.answer();
            if let PlanAnswer::Answer(said) = &answer {
                assert_eq!(*said, decided, "{place}, {facts:?}");
                assert!(hearing.needs() == Needs::default() || !action.target.fits(action.verb), "{place}");
            }
            // Heard twice it says the same, and so do its short forms.
            assert_eq!(
                (plan.answer(&action), plan.needs(&action), plan.decide(&action, &facts)),
                (answer, hearing.needs(), decided.clone())
            );
            *seen.entry((decided.decision, matches!(hearing.answer(), PlanAnswer::Ask))).or_default() += 1;
        }
    }
    println!("seed {SEED}: {seen:?}");
    let asked = [Says::Allow, Says::Steer, Says::Approve, Says::Deny].map(|says| (says, true));
    let answered = [Says::Allow, Says::Deny].map(|says| (says, false));
    assert!(asked.iter().chain(&answered).all(|kind| seen.get(kind).is_some_and(|count| *count >= 10)), "{seen:?}");
}

/// What a link at `name` stands for because a rule would leave it out below `target`, or because rules ask for a history: asked pattern by pattern.
fn one_by_one(policy: &Policy, verb: Verb, name: &str, target: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut excused, mut known) = (Vec::new(), Vec::new());
    let below = |folder: &str, text: &[u8]| [folder.trim_end_matches('/').as_bytes(), text].concat();
    for rule in policy.layers().iter().flat_map(|layer| &layer.rules).filter(|rule| rule.says != Says::Allow && rule.verbs.contains(verb)) {
        for pattern in rule.selectors.path.iter().flat_map(|patterns| patterns.iter()) {
            for text in beneath::asked(pattern, name.as_bytes()) {
                let (here, there) = (below(name, &text), below(target, &text));
                let is_left_out = rule.selectors.except.matched(pattern, &here);
                if rule.selectors.except.matched(pattern, &there) && !is_left_out {
                    excused.push(here.clone());
                }
                if rule.when.as_ref().is_some_and(|when| when.history.is_some()) && !is_left_out {
                    known.push(here);
                }
            }
        }
    }
    for names in [&mut excused, &mut known] {
        names.sort();
        names.dedup();
    }
    (excused, known)
}

#[test]
fn a_link_stands_for_what_each_pattern_asks_for() {
    let mut random = Random(SEED);
    let mut found = [0, 0];
    for number in 0..POLICIES {
        let policy = random.policy();
        let plan = Plan::compile(&policy);
        for _ in 0..ACTS {
            let (verb, name, target) =
                (random.of(&VERBS), random.path(), if random.below(6) == 0 { "/".to_owned() } else { random.path() });
            let (excused, known) = one_by_one(&policy, verb, &name, &target);
            let place = format!("seed {SEED}, policy {number}, {verb} {name} -> {target}");
            assert_eq!(plan.excused_at(verb, name.as_bytes(), target.as_bytes()), excused, "{place}");
            assert_eq!(plan.stands_for_known(verb, name.as_bytes()), known, "{place}");
            found = [found[0] + excused.len(), found[1] + known.len()];
        }
    }
    println!("seed {SEED}: {found:?}");
    assert!(found.iter().all(|count| *count > 200), "{found:?}");
}
