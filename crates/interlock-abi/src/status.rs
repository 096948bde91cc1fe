//! What `/proc` tells of a thread in words: `status` and `stat` (proc_pid_status(5), proc_pid_stat(5)).

/// SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU: what stops a process that neither handles nor ignores it.
const STOPS: u64 = 0b1111 << (libc::SIGSTOP - 1);

/// Who a file act is done as.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Identity {
    pub user: u32,
    pub group: u32,
    pub groups: Vec<u32>,
    /// Effective capabilities, one bit each.
    pub capabilities: u64,
}

/// What `/proc/TID/status` says of a thread, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its process.
    pub process: i32,
    /// Its umask.
    pub umask: u32,
    /// Its real, effective, saved and file-system user.
    pub users: [u32; 4],
    /// Its groups of the same kinds.
    pub groups: [u32; 4],
    /// Who it acts on files as.
    pub identity: Identity,
}

impl Status {
    /// Parses `/proc/TID/status`; `None` when a line that must be there is not. One pass: it is asked for every file that is made.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        let mut fields = Fields::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let value = std::str::from_utf8(value.get(1..)?).unwrap_or_default().trim();
            fields.note(name, value);
        }
        let (users, groups) = (fields.users?, fields.groups?);
        let ([_, _, _, user], [_, _, _, group]) = (users, groups);
        let identity = Identity { user, group, groups: fields.supplementary?, capabilities: fields.capabilities? };
        Some(Status { process: fields.process?, umask: fields.umask?, users, groups, identity })
    }
}

/// The lines of proc_pid_status(5) that are read.
#[derive(Default)]
struct Fields {
    process: Option<i32>,
    umask: Option<u32>,
    users: Option<[u32; 4]>,
    groups: Option<[u32; 4]>,
    supplementary: Option<Vec<u32>>,
    capabilities: Option<u64>,
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &str) {
        let ids = || value.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>();
        match name {
            b"Umask" => self.umask = u32::from_str_radix(value, 8).ok(),
            b"Tgid" => self.process = value.parse().ok(),
            b"Uid" => self.users = ids().ok().and_then(|ids| ids.try_into().ok()),
            b"Gid" => self.groups = ids().ok().and_then(|ids| ids.try_into().ok()),
            b"Groups" => self.supplementary = ids().ok(),
            b"CapEff" => self.capabilities = u64::from_str_radix(value, 16).ok(),
            _ => {}
        }
    }
}

/// The waiting signals that a thread would take: a bit each, from signal 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Sent to it alone.
    pub own: u64,
    /// Sent to its process.
    pub shared: u64,
    /// Whether its process has no other thread.
    pub alone: bool,
}

impl Signals {
    /// Reads `/proc/TID/status` (proc_pid_status(5)).
    #[must_use]
    pub fn of(status: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(status);
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let bits = |key: &str| line(key).and_then(|rest| u64::from_str_radix(rest, 16).ok());
        let taken = !bits("SigBlk:")? & (bits("SigCgt:")? | STOPS & !bits("SigIgn:")?);
        Some(Self { own: bits("SigPnd:")? & taken, shared: bits("ShdPnd:")? & taken, alone: line("Threads:")? == "1" })
    }

    /// Whether one waits that no other thread can take.
    #[must_use]
    pub fn surely_own(self) -> bool {
        self.own != 0 || (self.alone && self.shared != 0)
    }
}

/// State and parent in `/proc/PID/stat`, of which the first four fields are enough. The second, the name, may itself hold brackets and spaces.
#[must_use]
pub fn state_and_parent(stat: &[u8]) -> Option<(u8, i32)> {
    let mut fields = after_name(stat)?;
    let state = *fields.next()?.first()?;
    Some((state, number(fields.next()?)?))
}

/// The device number of the controlling terminal in `/proc/PID/stat` (field 7); 0 where there is none.
#[must_use]
pub fn terminal(stat: &[u8]) -> Option<u64> {
    number(after_name(stat)?.nth(4)?).map(|device| u64::from(device as u32))
}

fn after_name(stat: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    Some(stat.get(end + 1..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty()))
}

fn number(field: &[u8]) -> Option<i32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn signals(own: u64, shared: u64, threads: u32) -> Signals {
        let text = format!(
            "Name:\tx\nThreads:\t{threads}\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t0000000000000002\n\
            SigIgn:\t0000000000080000\nSigCgt:\t0000000000000006\n"
        );
        Signals::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_handled_or_stops_and_is_not_blocked_is_taken() {
        assert_eq!(signals(0, 0x1c_0007, 2), Signals { own: 0, shared: 0x14_0004, alone: false });
    }

    #[test]
    fn a_signal_for_the_process_is_surely_ones_own_only_alone() {
        assert!(signals(4, 0, 9).surely_own());
        assert!(signals(0, 4, 1).surely_own());
        assert!(!signals(0, 4, 2).surely_own());
        assert!(!signals(2, 2, 1).surely_own());
    }

    #[test]
    fn fields_follow_the_name_whatever_that_is() {
        assert_eq!(state_and_parent(b"7 (a) T (b) S 1 2"), Some((b'S', 1)));
        assert_eq!(state_and_parent(b"7 (a"), None);
        assert_eq!(terminal(b"7 (a) T (b) S 1 2 3 34816 5"), Some(34816));
        assert_eq!(terminal(b"7 (a) S 1 2"), None);
    }

    #[test]
    fn status_is_read_by_line() {
        let text = b"Name:\tx\nUmask:\t0027\nTgid:\t42\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \n\
            CapEff:\t0000000000000003\n";
        let status = Status::of(text).unwrap();
        assert_eq!((status.process, status.umask), (42, 0o27));
        assert_eq!((status.users, status.groups), ([1, 2, 3, 4], [5, 6, 7, 8]));
        assert_eq!(status.identity, Identity { user: 4, group: 8, groups: vec![9, 10], capabilities: 3 });
        assert_eq!(Status::of(b"Umask:\t0027\n"), None);
    }
}
