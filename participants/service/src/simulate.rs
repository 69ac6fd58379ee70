//! The words for faults: in an input's `simulate` field (`charge=fail:2, dispatch=refuse`) and in durations on the command line.

use std::time::Duration;

/// From how long to how long.
pub type Span = (Duration, Duration);

/// What goes wrong with one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The handler takes so long before the effect.
    Slow(Duration),
    /// That many first attempts fail before the effect.
    Fail(u32),
    /// It is refused.
    Refuse,
    /// The first attempt's answer comes so long after the effect.
    Late(Duration),
    /// The first attempt's answer is lost.
    LoseReply,
    /// The process dies after the effect, once.
    Crash,
}

/// `250ms`, `30s`, `5m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("{text:?} is no duration: write 250ms, 30s or 5m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| error())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(error()),
    }
}

/// `100ms..2s`, or one duration.
pub fn span(text: &str) -> Result<Span, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (duration(from)?, duration(to)?);
    if from > to { Err(format!("{text:?} ends before it begins")) } else { Ok((from, to)) }
}

/// The faults that a `simulate` field names for an operation.
pub fn faults(text: &str, operation: &str) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (of, fault) = part.split_once('=').ok_or_else(|| format!("{part:?} is not OPERATION=FAULT"))?;
        let fault = parse(fault)?;
        if of == operation {
            faults.push(fault);
        }
    }
    Ok(faults)
}

fn parse(text: &str) -> Result<Fault, String> {
    let (word, value) = text.split_once(':').map_or((text, None), |(word, value)| (word, Some(value)));
    match (word, value) {
        ("slow", Some(value)) => duration(value).map(Fault::Slow),
        ("late", Some(value)) => duration(value).map(Fault::Late),
        ("fail", Some(value)) => value.parse().map(Fault::Fail).map_err(|_| format!("{text:?}: how often? fail:2")),
        ("refuse", None) => Ok(Fault::Refuse),
        ("lose-reply", None) => Ok(Fault::LoseReply),
        ("crash", None) => Ok(Fault::Crash),
        _ => Err(format!("{text:?} is no fault: write slow:500ms, fail:2, refuse, late:5s, lose-reply or crash")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_names_faults_by_operation() {
        let text = "charge=fail:2, dispatch=refuse,charge=late:5s, charge=lose-reply";
        let expected = [Fault::Fail(2), Fault::Late(Duration::from_secs(5)), Fault::LoseReply];
        assert_eq!(faults(text, "charge").unwrap(), expected);
        assert_eq!(faults(text, "dispatch").unwrap(), [Fault::Refuse]);
        assert_eq!(faults("", "charge").unwrap(), []);
    }

    #[test]
    fn a_misspelt_fault_is_an_error_wherever_it_stands() {
        for text in ["charge", "charge=explode", "charge=fail", "charge=slow:5", "charge=refuse:1"] {
            assert!(faults(text, "refund").is_err(), "{text}");
        }
    }

    #[test]
    fn spans_have_one_end_or_two() {
        let ms = Duration::from_millis;
        assert_eq!(span("100ms..2s").unwrap(), (ms(100), ms(2000)));
        assert_eq!(span("1m").unwrap(), (ms(60_000), ms(60_000)));
        assert!(span("2s..1s").is_err());
    }
}
