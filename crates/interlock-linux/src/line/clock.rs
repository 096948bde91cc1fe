//! The time, as records and people read it; the words for it are the ledger's.

/// RFC 3339 in UTC with microseconds, from microseconds since 1970.
#[must_use]
pub fn rfc3339(time_us: u64) -> String {
    interlock_ledger::clock::rfc3339(i64::try_from(time_us).unwrap_or(i64::MAX))
}
