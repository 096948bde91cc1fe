//! The two clocks of a record, as an argument so that a test can turn them back.

use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Microseconds since 1970, UTC. May jump either way.
    pub time_us: i64,
    /// Nanoseconds of the boot clock (it counts while the machine sleeps). Never goes back.
    pub tick_ns: u64,
}

/// Where readings come from.
pub type Clock = Arc<dyn Fn() -> Reading + Send + Sync>;

/// The machine's own clocks: `CLOCK_REALTIME` and `CLOCK_BOOTTIME` (clock_gettime(2)).
#[must_use]
pub fn system() -> Clock {
    Arc::new(read)
}

fn read() -> Reading {
    let now = clock_gettime(ClockId::Realtime);
    let boot = clock_gettime(ClockId::Boottime);
    Reading {
        time_us: now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000),
        tick_ns: u64::try_from(boot.tv_sec.saturating_mul(1_000_000_000).saturating_add(boot.tv_nsec)).unwrap_or(0),
    }
}

/// RFC 3339 in UTC with six decimals, always 27 characters for the years 0 to 9999.
#[must_use]
pub fn rfc3339(time_us: i64) -> String {
    let seconds = time_us.div_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    let micros = time_us.rem_euclid(1_000_000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day counted from 1970-01-01, by the era method of the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_turn_into_dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(1_709_210_096_789_012), "2024-02-29T12:34:56.789012Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
    }
}
