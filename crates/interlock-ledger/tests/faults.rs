//! The log on a disk that fails: every fault ends in an error to the caller, and in nothing acknowledged that is not there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use interlock_ledger::clock::Reading;
use interlock_ledger::storage::{Disk, Storage};
use interlock_ledger::{Class, Error, Keys, Log, Options};
use serde_json::{Map, Value, json};

/// A disk whose faults a test switches on while the log runs.
#[derive(Default)]
struct Bench {
    sync_fails: AtomicU64,
    syncs: AtomicU64,
    append_fails: AtomicU64,
    /// Reservations beyond this many bytes find no space; 0 for no limit.
    space: AtomicU64,
}

impl Storage for Bench {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        if self.append_fails.load(Ordering::SeqCst) > 0 {
            use std::io::Write;
            let mut file = file;
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(io::Error::from_raw_os_error(5));
        }
        Disk.append(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.sync_fails.load(Ordering::SeqCst) > 0 { Err(io::Error::from_raw_os_error(5)) } else { Disk.sync(file) }
    }

    fn reserve(&self, file: &File, from: u64, end: u64) -> io::Result<()> {
        let space = self.space.load(Ordering::SeqCst);
        if space > 0 && end > space { Err(io::Error::from_raw_os_error(28)) } else { Disk.reserve(file, from, end) }
    }
}

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("interlock-ledger-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn options(&self, bench: &Arc<Bench>) -> Options {
        let keys = Keys::ensure(&self.0.join("keys"), None).unwrap();
        let mut options = Options::new(&self.0.join("log"), "sessions/s-1", &keys);
        options.storage = Arc::clone(bench) as Arc<dyn Storage>;
        options
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn allowed(number: u64) -> Value {
    json!({"type": "action.decided", "action": {"id": format!("a/{number}"), "verb": "file.write"}, "decision": {"decision": "allow"}})
}

fn denied(number: u64) -> Value {
    json!({"type": "action.decided", "action": {"id": format!("a/{number}"), "verb": "file.write"}, "decision": {"decision": "deny"}})
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path.join("segment-00000000")).unwrap()).into_owned()
}

#[test]
fn a_failed_fsync_acknowledges_nothing_more_and_is_not_tried_again() {
    let (place, bench) = (Place::new("fsync"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    log.append(allowed(1), Class::Durable).unwrap();
    bench.sync_fails.store(1, Ordering::SeqCst);
    assert!(matches!(log.append(allowed(2), Class::Durable), Err(Error::Poisoned(_))));
    bench.sync_fails.store(0, Ordering::SeqCst);
    let syncs = bench.syncs.load(Ordering::SeqCst);
    for class in [Class::Durable, Class::Ordered, Class::Routine] {
        assert!(matches!(log.append(denied(3), class), Err(Error::Poisoned(_))), "even where the disk works again");
    }
    std::thread::sleep(std::time::Duration::from_millis(120));
    assert_eq!(bench.syncs.load(Ordering::SeqCst), syncs, "fsync is never tried again");
    assert!(log.failure().is_some());
    assert!(log.close(None).is_err());
}

#[test]
fn an_fsync_that_fails_behind_an_ordered_record_is_noticed_within_50_ms() {
    let (place, bench) = (Place::new("fsync-late"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    bench.sync_fails.store(1, Ordering::SeqCst);
    log.append(allowed(1), Class::Ordered).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert!(matches!(log.append(allowed(2), Class::Ordered), Err(Error::Poisoned(_))));
}

#[test]
fn a_write_cut_short_is_not_acknowledged_and_the_tail_is_cut_at_the_next_opening() {
    let (place, bench) = (Place::new("write"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    log.append(allowed(1), Class::Ordered).unwrap();
    bench.append_fails.store(1, Ordering::SeqCst);
    assert!(log.append(allowed(2), Class::Ordered).is_err());
    drop(log);
    bench.append_fails.store(0, Ordering::SeqCst);
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    let (records, _) = log.head().unwrap();
    log.close(None).unwrap();
    assert_eq!(records, 3, "opened, the first action, opened again");
    assert!(text(&place.log()).contains("\"recovered\":{\"bytes\":"));
}

/// What is no decision and permits nothing all the same.
fn last_words() -> Vec<Value> {
    let no = |answer: &str| json!({"type": "approval.answered", "action": "a/1", "digest": "d", "answer": answer, "approver": null, "grant": null});
    let mut words = vec![
        json!({"type": "call.refused", "call": "bpf", "errno": 1, "because": "no policy opens it", "process": null}),
        json!({"type": "token.refused", "reason": "expired", "agent": null, "client": "127.0.0.1:1", "unrecorded": 0}),
    ];
    words.extend(["no", "timeout", "nobody", "withdrawn"].map(no));
    words
}

#[test]
fn on_a_full_disk_permissions_are_refused_and_denials_still_recorded() {
    let (place, bench) = (Place::new("full"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    bench.space.store(1, Ordering::SeqCst);
    let mut taken = 0;
    while log.append(allowed(taken), Class::Ordered).is_ok() {
        taken += 1;
        assert!(taken < 20_000, "what was set aside ahead must run out");
    }
    assert!(matches!(log.append(allowed(0), Class::Durable), Err(Error::Full)));
    for number in 0..100 {
        log.append(denied(1_000_000 + number), Class::Durable).unwrap();
    }
    for (number, word) in last_words().into_iter().enumerate() {
        assert!(log.append(word, Class::Ordered).is_ok(), "last word {number}");
    }
    let yes = json!({"type": "approval.answered", "action": "a/1", "digest": "d", "answer": "yes", "approver": "uid:0", "grant": null});
    assert!(matches!(log.append(yes, Class::Durable), Err(Error::Full)), "a yes permits something");
    let mut lost = 0;
    while lost < 5 {
        lost += u64::from(log.append(denied(2_000_000), Class::Ordered).is_err());
    }
    bench.space.store(0, Ordering::SeqCst);
    log.append(allowed(7), Class::Ordered).unwrap();
    log.close(Some(json!({"type": "session.closed", "status": 0}))).unwrap();
    let text = text(&place.log());
    assert!(text.contains("a/1000099"), "the denials of the full disk are there");
    assert!(text.contains("\"lost\":5") && text.contains("the disk was full"), "what could not even be denied in writing is counted");
}

#[test]
fn a_clock_that_goes_back_moves_times_but_never_ticks() {
    let (place, bench) = (Place::new("clock"), Arc::new(Bench::default()));
    let now = Arc::new(AtomicI64::new(1_000_000));
    let read = Arc::clone(&now);
    let mut options = place.options(&bench);
    options.clock = Arc::new(move || {
        let time_us = read.fetch_sub(1000, Ordering::SeqCst);
        Reading { time_us, tick_ns: u64::try_from(time_us).unwrap_or(0) }
    });
    let log = Log::open(options, Map::new()).unwrap();
    for number in 0..10 {
        log.append(allowed(number), Class::Ordered).unwrap();
    }
    log.close(None).unwrap();
    let text = text(&place.log());
    let ticks: Vec<u64> = text.split("\"tick\":").skip(1).map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(ticks.len(), 11);
    assert!(ticks.is_sorted());
}

#[test]
fn two_writers_of_one_log_are_refused() {
    let (place, bench) = (Place::new("two"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    assert!(matches!(Log::open(place.options(&bench), Map::new()), Err(Error::Locked(_))));
    drop(log);
    Log::open(place.options(&bench), Map::new()).unwrap();
}

#[test]
fn many_threads_share_a_log_and_every_number_is_given_once() {
    let (place, bench) = (Place::new("threads"), Arc::new(Bench::default()));
    let log = Arc::new(Log::open(place.options(&bench), Map::new()).unwrap());
    let workers: Vec<_> = (0..8_u64)
        .map(|worker| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                let classes = [Class::Routine, Class::Ordered, Class::Durable];
                let record = |n: u64| log.append(allowed(worker * 1000 + n), classes[(n % 3) as usize]).unwrap().record;
                (0..200).map(record).collect::<Vec<u64>>()
            })
        })
        .collect();
    let mut numbers: Vec<u64> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=1600).collect::<Vec<u64>>());
    assert_eq!(log.close(None).unwrap().size, 1601);
}

#[test]
fn records_that_came_together_share_a_mark_and_a_bad_one_harms_no_other() {
    let (place, bench) = (Place::new("together"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    let alone = log.begin(allowed(1), Class::Ordered).unwrap().record;
    let told = log.begin_all(vec![Ok(allowed(2)), Ok(json!([])), Err(Error::Record("no text".into())), Ok(denied(3)), Ok(allowed(4))]);
    let numbers: Vec<Option<u64>> = told.iter().map(|each| each.as_ref().ok().map(|written| written.record)).collect();
    assert_eq!(numbers, [Some(alone + 1), None, None, Some(alone + 2), Some(alone + 3)]);
    assert!(told.iter().filter_map(|each| each.as_ref().err()).all(|error| matches!(error, Error::Record(_))));
    assert!(text(&place.log()).contains("\"id\":\"a/4\""), "they are in the file when it returns");
    let large = (0..1_200).map(|number| Ok(allowed(10 + number))).collect();
    assert!(log.begin_all(large).iter().all(Result::is_ok));
    assert_eq!(log.close(None).unwrap().size, alone + 1 + 3 + 1_200);
}

#[test]
fn of_records_whose_write_fails_none_was_taken() {
    let (place, bench) = (Place::new("none"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    bench.append_fails.store(1, Ordering::SeqCst);
    assert!(log.begin_all(vec![Ok(allowed(1)), Ok(denied(2))]).iter().all(|told| matches!(told, Err(Error::Poisoned(_)))));
    bench.append_fails.store(0, Ordering::SeqCst);
    assert!(log.begin_all(vec![Ok(denied(3))]).iter().all(Result::is_err), "a log in doubt takes nothing more");
    drop(log);
    assert_eq!(Log::open(place.options(&bench), Map::new()).unwrap().head().unwrap().0, 2, "the two openings");
}

#[test]
fn of_records_that_came_together_a_full_disk_takes_those_that_permit_nothing() {
    let (place, bench) = (Place::new("full-together"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    bench.space.store(1, Ordering::SeqCst);
    let told: Vec<_> = (0..3_000).flat_map(|number| log.begin_all(vec![Ok(allowed(number)), Ok(denied(number))])).collect();
    let refused = told.iter().position(|each| matches!(each, Err(Error::Full))).expect("the space runs out");
    assert_eq!(refused % 2, 0, "what would permit something is refused first");
    assert!(told[refused + 1].is_ok());
}

#[test]
fn a_record_too_large_keeps_digests_of_its_largest_values() {
    let (place, bench) = (Place::new("large"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    let arguments: Vec<String> = (0..20_000).map(|n| format!("argument {n}")).collect();
    let mut record = allowed(1);
    record["action"]["target"] = json!({"path": "/bin/true", "arguments": arguments});
    log.append(record, Class::Ordered).unwrap();
    let flat: Map<String, Value> = (0..2000).map(|n| (format!("key{n}"), json!("x".repeat(100)))).collect();
    let mut many = flat.clone();
    many.insert("type".into(), "prompt.seen".into());
    assert!(matches!(log.append(Value::Object(many), Class::Ordered), Err(Error::Record(_))));
    for bad in [json!([]), json!({}), json!({"type": "gap", "record": 1}), json!({"type": 1})] {
        assert!(matches!(log.append(bad, Class::Ordered), Err(Error::Record(_))));
    }
    log.append(allowed(2), Class::Ordered).expect("a bad record does no harm to the log");
    log.close(None).unwrap();
    let text = text(&place.log());
    assert!(text.contains("\"arguments\":{\"bytes\":") && text.contains("\"path\":\"/bin/true\""));
}

#[test]
fn counts_and_effects_become_routine_records_within_50_ms() {
    let (place, bench) = (Place::new("counts"), Arc::new(Bench::default()));
    let log = Log::open(place.options(&bench), Map::new()).unwrap();
    for _ in 0..1000 {
        log.count("file.read", "allow", "a/system");
    }
    log.effect(0, interlock_ledger::Ended::Errno(13));
    std::thread::sleep(std::time::Duration::from_millis(120));
    let found = text(&place.log());
    assert!(found.contains("{\"count\":1000,\"decision\":\"allow\",\"rule\":\"a/system\",\"verb\":\"file.read\"}"));
    assert!(found.contains("\"effects\":[[0,13]]"));
}
