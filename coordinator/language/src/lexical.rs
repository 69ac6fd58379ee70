//! The small words of the language: names, versions, durations, times of day, counts. Bounds are said here and nowhere else.

use std::ops::RangeInclusive;

/// Longest name.
pub const MAX_NAME: usize = 64;
/// Longest duration, milliseconds: ten years.
pub const MAX_DURATION: i64 = 3650 * 86_400_000;

const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Names that an expression sees without anybody declaring them.
pub const SEEN_BY_EXPRESSIONS: [&str; 8] = ["input", "event", "facts", "shown", "probe", "outcome", "now", "constants"];

/// Words that CEL keeps for itself.
const RESERVED: [&str; 20] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "while",
];

/// A duration such as `250ms`, `1s`, `5m`, `6h`, `14d`, in milliseconds.
///
/// # Errors
/// What would be right.
pub fn duration(text: &str) -> Result<i64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let millis = factor.and_then(|factor| number.parse::<i64>().ok()?.checked_mul(factor));
    match millis {
        Some(0) => Err("a duration is longer than nothing".to_owned()),
        Some(millis) if millis <= MAX_DURATION => Ok(millis),
        Some(_) => Err("a duration is at most 3650d".to_owned()),
        None => Err("a duration is a whole number and its unit: 250ms, 1s, 5m, 6h, 14d".to_owned()),
    }
}

/// A duration as a person writes it.
pub fn show_duration(millis: i64) -> String {
    let (unit, factor) = UNITS.iter().rev().find(|(_, factor)| millis % factor == 0).unwrap_or(&UNITS[0]);
    format!("{}{unit}", millis / factor)
}

/// `1s..5m`, or one duration for a constant wait.
///
/// # Errors
/// What would be right.
pub fn duration_range(text: &str) -> Result<(i64, i64), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (duration(first)?, duration(last)?);
    if first > last {
        return Err(format!("the shorter one stands first: {}..{}", show_duration(last), show_duration(first)));
    }
    Ok((first, last))
}

/// `50/s`.
///
/// # Errors
/// What would be right.
pub fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").and_then(|number| number.parse::<u32>().ok());
    number.filter(|n| *n > 0).ok_or_else(|| "a rate is a whole number a second: 50/s".to_owned())
}

/// `MAJOR.MINOR.PATCH`, with `-SUFFIX` if need be.
///
/// # Errors
/// What would be right.
pub fn version(text: &str) -> Result<&str, String> {
    let (numbers, suffix) = text.split_once('-').unwrap_or((text, "0"));
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |part: &&str| part.parse::<u32>().is_ok_and(|n| n.to_string() == **part);
    let suffixed = !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if parts.len() == 3 && parts.iter().all(number) && suffixed {
        return Ok(text);
    }
    Err("a version is MAJOR.MINOR.PATCH: 1.2.0".to_owned())
}

/// A name of a saga, participant or policy.
///
/// # Errors
/// What would be right.
pub fn name(text: &str) -> Result<&str, String> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if text.len() <= MAX_NAME && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(valid) {
        return Ok(text);
    }
    Err(format!("a name has a-z, 0-9, - and _, begins with a letter, and has at most {MAX_NAME} characters"))
}

/// A name of an operation, type or refusal.
///
/// # Errors
/// What would be right.
pub fn identifier(text: &str) -> Result<&str, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.len() <= MAX_NAME && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(valid) {
        return Ok(text);
    }
    Err(format!("it has letters, digits and _, begins with a letter, and has at most {MAX_NAME} characters"))
}

/// A name of a step: expressions see its result by it.
///
/// # Errors
/// What would be right.
pub fn step_name(text: &str) -> Result<&str, String> {
    identifier(text).map_err(|help| format!("{help}: expressions read the step's result by it"))?;
    if RESERVED.contains(&text) || SEEN_BY_EXPRESSIONS.contains(&text) {
        return Err(format!("`{text}` means something else in expressions: choose another name"));
    }
    Ok(text)
}

/// A name that expressions read as a member: of a fact, of a constant.
///
/// # Errors
/// What would be right.
pub fn member_name(text: &str) -> Result<&str, String> {
    identifier(text).map_err(|help| format!("{help}: expressions read it by that name"))?;
    if RESERVED.contains(&text) {
        return Err(format!("`{text}` means something else in expressions: choose another name"));
    }
    Ok(text)
}

/// A whole number within bounds.
///
/// # Errors
/// What would be right.
pub fn count(text: &str, bounds: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|n| bounds.contains(n) && n.to_string() == text);
    number.ok_or_else(|| format!("write a whole number from {} to {}", bounds.start(), bounds.end()))
}

/// Who may decide: `role/NAME` or `user/NAME`.
///
/// # Errors
/// What would be right.
pub fn decider(text: &str) -> Result<&str, String> {
    let name = text.strip_prefix("role/").or_else(|| text.strip_prefix("user/")).unwrap_or_default();
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(valid) {
        return Ok(text);
    }
    Err("write role/NAME or user/NAME: role/manager".to_owned())
}

/// A time zone of the IANA database: `UTC`, `Europe/Berlin`. Short names and other letter cases are refused: one thing has one name.
///
/// # Errors
/// What would be right.
pub fn zone(text: &str) -> Result<&str, String> {
    let part = |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase());
    if text != "UTC" && !(text.contains('/') && text.split('/').all(part)) {
        return Err("a zone is AREA/CITY as in the IANA database, or UTC: Europe/Berlin".to_owned());
    }
    match jiff::tz::TimeZone::get(text) {
        Ok(_) => Ok(text),
        Err(_) => Err("the IANA database has no such zone".to_owned()),
    }
}

/// `09:00-17:00`, in minutes of the day; the last may be 24:00.
///
/// # Errors
/// What would be right.
pub fn hours(text: &str) -> Result<(u16, u16), String> {
    let minutes = |text: &str| {
        let (hour, minute) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
        let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
        Some(hour * 60 + minute).filter(|at| minute < 60 && *at <= 24 * 60)
    };
    let span = text.split_once('-').and_then(|(from, until)| Some((minutes(from)?, minutes(until)?)));
    match span {
        Some((from, until)) if from < until => Ok((from, until)),
        Some(_) => Err("the earlier time stands first; a night is two calendars".to_owned()),
        None => Err("write from when until when: 09:00-17:00".to_owned()),
    }
}

/// A day of the calendar, `YYYY-MM-DD`.
///
/// # Errors
/// What would be right.
pub fn date(text: &str) -> Result<&str, String> {
    let wrong = || "a day is YYYY-MM-DD: 2026-12-25".to_owned();
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return Err(wrong()) };
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    if !(digits(year, 4) && digits(month, 2) && digits(day, 2)) {
        return Err(wrong());
    }
    let number = |part: &str| part.parse::<u32>().map_err(|_| wrong());
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    if day == 0 || day > days {
        return Err("there is no such day".to_owned());
    }
    Ok(text)
}

/// A name of a Kafka topic.
///
/// # Errors
/// What would be right.
pub fn topic(text: &str) -> Result<&str, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.is_empty() && text.len() <= 249 && text.chars().all(valid) && text != "." && text != ".." {
        return Ok(text);
    }
    Err("a topic has letters, digits, . _ and -, and at most 249 characters".to_owned())
}
