//! When work is done somewhere: time zones, days of the week, holidays. The time zones are those compiled in, the same on every machine.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use sagaline_definition::model::Calendar;
use sagaline_schemas::{Millis, Value};

/// Most days that are looked through for one on which work is done.
const FARTHEST: u32 = 3_660;

/// A time that data names: milliseconds since 1970, or RFC 3339.
///
/// # Errors
/// When it is neither.
pub fn instant(value: &Value) -> Result<Millis, String> {
    match value {
        Value::Int(millis) => Ok(*millis),
        Value::String(text) => {
            let time: Timestamp = text.parse().map_err(|error| format!("{text:?} is no time: {error}"))?;
            Ok(time.as_millisecond())
        }
        other => Err(format!("a time is a whole number of milliseconds or RFC 3339, this is {}", other.kind())),
    }
}

/// Now, where work is done now; else when it is next.
///
/// # Errors
/// When the calendar names no time zone, or never has a day of work.
pub fn next_window(calendar: &Calendar, now: Millis) -> Result<Millis, String> {
    let zone = zone(calendar)?;
    let local = local(&zone, now)?;
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    let (from, to) = (i64::from(calendar.hours.0), i64::from(calendar.hours.1));
    if is_workday(calendar, local.date()) {
        if (from..to).contains(&minute) {
            return Ok(now);
        }
        if minute < from {
            return opening(calendar, &zone, local.date());
        }
    }
    opening(calendar, &zone, following_workday(calendar, local.date())?)
}

/// The opening of the day of work so many days of work after today.
///
/// # Errors
/// As `next_window`.
pub fn after_workdays(calendar: &Calendar, now: Millis, days: u32) -> Result<Millis, String> {
    let zone = zone(calendar)?;
    let mut date = local(&zone, now)?.date();
    for _ in 0..days {
        date = following_workday(calendar, date)?;
    }
    opening(calendar, &zone, date)
}

/// Whether there is such a time zone.
pub fn knows_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

fn zone(calendar: &Calendar) -> Result<TimeZone, String> {
    TimeZone::get(&calendar.zone).map_err(|error| format!("time zone {:?}: {error}", calendar.zone))
}

fn local(zone: &TimeZone, now: Millis) -> Result<DateTime, String> {
    let now = Timestamp::from_millisecond(now).map_err(|error| error.to_string())?;
    Ok(zone.to_datetime(now))
}

fn is_workday(calendar: &Calendar, date: Date) -> bool {
    let day = date.weekday().to_monday_one_offset();
    calendar.days.contains(&(day as u8)) && !calendar.holidays.contains(&date.to_string())
}

fn following_workday(calendar: &Calendar, mut date: Date) -> Result<Date, String> {
    for _ in 0..FARTHEST {
        date = date.checked_add(Span::new().days(1)).map_err(|error| error.to_string())?;
        if is_workday(calendar, date) {
            return Ok(date);
        }
    }
    Err("the calendar has no day of work in ten years".to_owned())
}

/// A time that a change of clocks leaves out counts as the first one after it.
fn opening(calendar: &Calendar, zone: &TimeZone, date: Date) -> Result<Millis, String> {
    let (hour, minute) = (calendar.hours.0 / 60, calendar.hours.0 % 60);
    let time = Time::new(hour as i8, minute as i8, 0, 0).map_err(|error| error.to_string())?;
    let opening = zone.to_zoned(date.to_datetime(time)).map_err(|error| error.to_string())?;
    Ok(opening.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office() -> Calendar {
        Calendar {
            zone: "Europe/Berlin".to_owned(),
            days: vec![1, 2, 3, 4, 5],
            hours: (9 * 60, 17 * 60),
            holidays: vec!["2026-12-25".to_owned()],
        }
    }

    fn at(text: &str) -> Millis {
        instant(&Value::from(text)).unwrap()
    }

    #[track_caller]
    fn opens(now: &str, expected: &str) {
        assert_eq!(next_window(&office(), at(now)), Ok(at(expected)), "at {now}");
    }

    #[test]
    fn a_window_is_now_or_next() {
        opens("2026-11-20T10:00:00+01:00", "2026-11-20T10:00:00+01:00");
        opens("2026-11-20T07:00:00+01:00", "2026-11-20T09:00:00+01:00");
        opens("2026-11-20T17:00:00+01:00", "2026-11-23T09:00:00+01:00");
        opens("2026-11-21T12:00:00+01:00", "2026-11-23T09:00:00+01:00");
        opens("2026-12-24T18:00:00+01:00", "2026-12-28T09:00:00+01:00");
    }

    #[test]
    fn a_change_of_clocks_moves_the_opening() {
        opens("2026-03-27T18:00:00+01:00", "2026-03-30T09:00:00+02:00");
    }

    #[test]
    fn workdays_leave_out_weekends_and_holidays() {
        assert_eq!(after_workdays(&office(), at("2026-12-23T12:00:00+01:00"), 2), Ok(at("2026-12-28T09:00:00+01:00")));
    }

    #[test]
    fn a_zone_that_is_none_is_an_error() {
        let calendar = Calendar { zone: "Europe/Atlantis".to_owned(), ..office() };
        assert!(next_window(&calendar, 0).unwrap_err().contains("Europe/Atlantis"));
    }
}
