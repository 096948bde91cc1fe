//! How fast the log takes records: `cargo run --release --example speed [directory]`. Prints one line a figure.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use interlock_ledger::{Class, Keys, Log, Result, open_session};
use serde_json::{Value, json};

/// A decision as the host plane writes it, about 700 bytes.
fn record(number: u64) -> Value {
    json!({"type": "action.decided", "phase": "decided", "parent": null, "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "agent": {"name": "coder", "assurance": "attested"},
        "action": {"id": format!("s-20261121T130102-3f9a1c/{number}"), "plane": "host", "verb": "file.write",
            "target": {"path": format!("/home/user/project/src/module/file_{number}.rs"), "aliases": [], "inode": {"device": 2049, "number": 77_000_000 + number}},
            "subject": {"agent": "coder", "session": "s-20261121T130102-3f9a1c", "task": null, "process": {"id": 4711, "program": "/usr/bin/cc"}}},
        "decision": {"decision": "allow", "rules": ["coding-agent/workspace"], "layers": ["coding-agent"], "because": null, "obligations": {"record": "ordered"}, "spoke": true, "errors": []},
        "policy": "sha256:0123456789abcdef", "facts": {"now_ms": 1_764_000_000_000_u64, "grants": []}})
}

/// Seconds of the processor that this thread has used: on a busy machine the honest figure.
fn worked() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// Seconds for one append, on the clock and on the processor. The records are made a few at a time, untimed, so that memory is not what is measured.
fn each(log: &Log, class: Class, count: u64) -> Result<(f64, f64)> {
    let (mut spent, mut used) = (0.0, 0.0);
    for chunk in 0..count / 200 {
        let records: Vec<Value> = (0..200).map(|n| record(chunk * 200 + n)).collect();
        let (start, before) = (Instant::now(), worked());
        for record in records {
            log.append(record, class)?;
        }
        spent += start.elapsed().as_secs_f64();
        used += worked() - before;
    }
    Ok((spent / count as f64, used / count as f64))
}

fn together(log: &Arc<Log>, threads: u64, count: u64) -> f64 {
    let start = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let log = Arc::clone(log);
            std::thread::spawn(move || (0..count / threads).filter(|n| log.append(record(*n), Class::Durable).is_ok()).count())
        })
        .collect();
    let done: usize = workers.into_iter().filter_map(|worker| worker.join().ok()).sum();
    done as f64 / start.elapsed().as_secs_f64()
}

fn main() -> Result<()> {
    let base =
        std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join(format!("ledger-speed-{}", std::process::id())), PathBuf::from);
    let (index, keys) = (base.join("index"), base.join("keys"));
    let keys = Keys::ensure(&keys, Some(&index))?;
    let start = Instant::now();
    let log = Arc::new(open_session(&base.join("sessions/s-speed"), "sessions/s-speed", &index, &keys)?);
    println!("open with index      {:9.2} ms", start.elapsed().as_secs_f64() * 1e3);
    println!("record               {:9} bytes", serde_json::to_vec(&record(1)).map_or(0, |bytes| bytes.len()));
    for (name, class, count) in
        [("routine", Class::Routine, 200_000), ("ordered", Class::Ordered, 200_000), ("durable", Class::Durable, 2_000)]
    {
        let (seconds, used) = each(&log, class, count)?;
        println!("{name:12} 1 thread {:9.2} us  {:9.0}/s  {:9.2} us of the processor", seconds * 1e6, 1.0 / seconds, used * 1e6);
    }
    println!("durable    64 threads {:29.0}/s", together(&log, 64, 64_000));
    let start = Instant::now();
    for _ in 0..1_000_000 {
        log.count("file.read", "allow", "coding-agent/workspace");
    }
    println!("count                {:9.1} ns", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    log.close(Some(json!({"type": "session.closed", "status": 0})))?;
    println!("close with index     {:9.2} ms", start.elapsed().as_secs_f64() * 1e3);
    println!("in {}", base.display());
    Ok(())
}
