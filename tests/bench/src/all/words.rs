//! Numbers as people read them.

/// With commas between thousands, without decimals.
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value <= -0.5 { format!("-{grouped}") } else { grouped }
}

/// Milliseconds, to hundredths.
pub fn millis(micros: u32) -> String {
    format!("{:.2}", f64::from(micros) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let said: Vec<String> = [0.0, 7.4, 999.6, 12_249.0, 1_000_000.0, -1_234.0].map(grouped).into();
        assert_eq!(said, ["0", "7", "1,000", "12,249", "1,000,000", "-1,234"]);
    }
}
