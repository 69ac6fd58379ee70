//! Scalars by YAML 1.2's core schema: plain ones may be null, bool or number, quoted ones are text. `yes`, `on` and `1.2.0` are text.

use sagaline_schemas::Value;
use saphyr_parser::ScalarStyle;

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    text: String,
    style: ScalarStyle,
}

impl Scalar {
    pub fn new(text: String, style: ScalarStyle) -> Self {
        Self { text, style }
    }

    /// Its text, quotes and escapes resolved.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn style(&self) -> ScalarStyle {
        self.style
    }

    /// Whether it was written without quotes.
    pub fn is_plain(&self) -> bool {
        self.style == ScalarStyle::Plain
    }

    /// What kind of value it is, as a message calls it.
    pub fn describe(&self) -> &'static str {
        match self.value() {
            Ok(Value::Null) => "nothing",
            Ok(Value::Bool(_)) => "a bool",
            Ok(Value::Int(_) | Value::Float(_)) | Err(_) => "a number",
            Ok(Value::String(_) | Value::List(_) | Value::Map(_)) => "text",
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// When it is a number that has no exact place in JSON; says what to write instead.
    pub fn value(&self) -> Result<Value, &'static str> {
        let text = self.text.as_str();
        if !self.is_plain() {
            return Ok(Value::from(text));
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Ok(Value::Null),
            "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
            _ => number(text).unwrap_or_else(|| Ok(Value::from(text))),
        }
    }
}

/// None: it is no number.
fn number(text: &str) -> Option<Result<Value, &'static str>> {
    const TOO_LARGE: &str = "a whole number beyond 64 bits: quote it, to send it as text";
    let based =
        [("0o", 8), ("0x", 16)].into_iter().find_map(|(prefix, radix)| Some((text.strip_prefix(prefix)?, radix)));
    if let Some((digits, radix)) = based {
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        return valid.then(|| i64::from_str_radix(digits, radix).map(Value::Int).map_err(|_| TOO_LARGE));
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map(Value::Int).map_err(|_| TOO_LARGE));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err("JSON has no infinity and no NaN: quote it, if it is text"));
    }
    is_float(unsigned).then(|| match text.parse::<f64>() {
        // Minus zero equals zero: it must not have a text of its own.
        Ok(x) if x.is_finite() => Ok(Value::Float(x + 0.0)),
        Ok(_) | Err(_) => Err("a number beyond double precision: quote it, to send it as text"),
    })
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits && digits(whole) && digits(fraction) && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}
