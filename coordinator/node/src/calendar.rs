//! Milliseconds since 1970 as people and other programs read them, in UTC.

use sagaline_schemas::Millis;

/// RFC 3339: `2026-11-21T04:29:07.120Z`.
pub fn rfc3339(millis: Millis) -> String {
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hours, minutes, seconds) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
    let fields =
        [(year, 4, '-'), (month, 2, '-'), (day, 2, 'T'), (hours, 2, ':'), (minutes, 2, ':'), (seconds, 2, '.')];
    let mut text = String::with_capacity(24);
    for (number, width, behind) in fields {
        put(&mut text, number, width);
        text.push(behind);
    }
    put(&mut text, of_day % 1_000, 3);
    text.push('Z');
    text
}

/// So many of a number's last digits: every record that is published has a time, and formatting would cost more than all else.
fn put(text: &mut String, number: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = (number / 10_i64.pow(place)).rem_euclid(10);
        text.push(char::from(b'0' + digit as u8));
    }
}

/// The date of a day since 1970-01-01: Howard Hinnant's `civil_from_days`, in which years begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_the_calendar_has_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_000 - 1), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_795_235_347_120), "2026-11-21T04:29:07.120Z");
    }
}
