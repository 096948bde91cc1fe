//! Tells `run`, while a session is being ended, that it still is: a session that changed very much takes long to look through, and must not be taken for hung.

use super::uplink::Uplink;
use serde_json::json;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two words.
const EVERY: Duration = Duration::from_secs(2);
/// Words, after which `run` may believe what it sees: five minutes.
const WORDS_MAX: usize = 150;

/// Says `ending` every two seconds until it is dropped; nothing is said after that.
#[must_use = "dropped, it tells no more"]
pub struct Telling {
    is_over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Telling {
    /// Begins. Where no thread can be had, nothing is said, and `run` waits as long as it waits for a word.
    pub fn begin(uplink: &Arc<Uplink>) -> Self {
        Self::each(EVERY, uplink)
    }

    fn each(every: Duration, uplink: &Arc<Uplink>) -> Self {
        let (is_over, over) = channel();
        let uplink = Arc::clone(uplink);
        let tell = move || {
            let mut words = 0;
            while words < WORDS_MAX && over.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                words += 1;
                let _nobody_reads = uplink.send(json!({"type": "ending"}));
            }
        };
        Self { is_over: Some(is_over), thread: std::thread::Builder::new().name("ending".to_owned()).spawn(tell).ok() }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.is_over = None;
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn it_is_said_again_and_again_until_it_is_over_and_not_after() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let uplink = Arc::new(Uplink::start(ours).unwrap());
        let telling = Telling::each(Duration::from_millis(1), &uplink);
        let mut said = [0; 35];
        theirs.read_exact(&mut said).unwrap();
        assert_eq!(said, *b"{\"type\":\"ending\"}\n{\"type\":\"ending\"}");
        drop(telling);
        assert!(uplink.send(json!({"type": "ended"})));
        uplink.finish(Duration::from_secs(5));
        let mut rest = String::new();
        theirs.read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with("{\"type\":\"ended\"}\n"), "{rest}");
    }
}
