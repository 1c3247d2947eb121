//! Is this the date, time and zone that typed clients read?

/// `YYYY-MM-DDThh:mm[:ss[.fraction]]` and `Z` or an offset, a date of the calendar.
pub(super) fn is_timestamp(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else { return false };
    let number = |text: &str, digits: usize| {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let clock = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        Some(number(hours, 2)? < 24 && number(minutes, 2)? < 60)
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let time = match (time.strip_suffix('Z'), time.rsplit_once(['+', '-'])) {
        (Some(time), _) => time,
        (None, Some((time, offset))) if clock(offset) == Some(true) => time,
        _ => return false,
    };
    let seconds = time.get(5..).unwrap_or_default();
    let is_seconds = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        number(whole, 2).is_some_and(|whole| whole < 60) && number(fraction, fraction.len().max(1)).is_some()
    };
    (1..=days).contains(&day)
        && time.get(..5).and_then(clock) == Some(true)
        && (seconds.is_empty() || seconds.strip_prefix(':').is_some_and(is_seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_date_time_and_zone() {
        for right in [
            "2025-01-12T15:00:58Z",
            "2024-02-29T23:59:59.123+01:00",
            "2025-01-12T15:00Z",
            "2025-01-12T15:00:58-08:00",
        ] {
            assert!(is_timestamp(right), "{right}");
        }
        for wrong in [
            "2025-01-01",
            "2025-01-12T15:00:58",
            "2025-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-01-12T24:00:00Z",
            "2025-01-12 15:00:58Z",
            "2025-01-12T15:00:5Z",
            "2025-01-12T15:00:58.Z",
            "2025-01-12T15:00:58+0100",
            "",
        ] {
            assert!(!is_timestamp(wrong), "{wrong}");
        }
    }
}
