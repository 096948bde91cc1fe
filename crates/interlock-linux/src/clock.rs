//! Times as people and records read them.

/// RFC 3339 in UTC with microseconds, from microseconds since 1970 (civil-from-days, for the proleptic Gregorian calendar).
#[must_use]
pub fn rfc3339(time_us: u64) -> String {
    let seconds = time_us / 1_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z", rest / 3600, rest / 60 % 60, rest % 60, time_us % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn known_moments() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(951_826_212_000_007), "2000-02-29T12:10:12.000007Z");
        assert_eq!(rfc3339(1_795_266_062_250_000), "2026-11-21T13:01:02.250000Z");
    }
}
