//! From values to places on an axis, and where an axis is marked.

/// How an axis runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From zero, by equal steps.
    Linear,
    /// By equal factors; what is not above zero lies at its lower end.
    Log,
}

/// An axis's values from its lower to its upper end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    kind: Kind,
    pub low: f64,
    pub high: f64,
}

impl Scale {
    /// The narrowest with round ends that holds all of them.
    pub fn covering(kind: Kind, values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| value.is_finite() && (kind == Kind::Linear || *value > 0.0));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        match kind {
            _ if low > high => Self { kind, low: if kind == Kind::Log { 1.0 } else { 0.0 }, high: 10.0 },
            Kind::Linear => {
                let step = round_above(high.max(f64::MIN_POSITIVE) / 5.0);
                Self { kind, low: 0.0, high: (high / step).ceil().max(1.0) * step }
            }
            Kind::Log => {
                let (low, high) = (round_below(low), round_above(high));
                Self { kind, low, high: if high > low { high } else { low * 10.0 } }
            }
        }
    }

    /// From 0, the lower end, to 1, the upper.
    pub fn at(&self, value: f64) -> f64 {
        let part = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        part.clamp(0.0, 1.0)
    }

    /// Round values from end to end, few enough to be read.
    pub fn ticks(&self) -> Vec<f64> {
        if self.kind == Kind::Linear {
            let step = round_above(self.high / 6.0);
            let count = (self.high / step + 1e-9).floor() as u32;
            return (0..=count).map(|number| f64::from(number) * step).collect();
        }
        let decades = (self.high / self.low).log10();
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let of_decade: &[f64] = if decades > 4.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all = (first..=last).flat_map(|decade| of_decade.iter().map(move |digit| digit * 10_f64.powi(decade)));
        all.filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick)).collect()
    }
}

/// The smallest of 1, 2, 5, 10, 20, ... that is not below.
fn round_above(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * decade >= value * 0.999_999);
    digit.unwrap_or(10.0) * decade
}

/// The largest of them that is not above.
fn round_below(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| digit * decade <= value * 1.000_001);
    digit.unwrap_or(1.0) * decade
}

/// A number in few letters: `0.5`, `20`, `1k`, `2.5M`.
pub fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_round_values() {
        let log = Scale::covering(Kind::Log, [0.7, 24.0].into_iter());
        assert_eq!((log.low, log.high), (0.5, 50.0));
        let linear = Scale::covering(Kind::Linear, [3.0, 42.0].into_iter());
        assert_eq!((linear.low, linear.high), (0.0, 50.0));
        // A value that is round itself is an end.
        let log = Scale::covering(Kind::Log, [1.0, 1_000.0].into_iter());
        assert_eq!((log.low, log.high), (1.0, 1_000.0));
    }

    #[test]
    fn equal_factors_are_equally_far_apart() {
        let scale = Scale::covering(Kind::Log, [1.0, 1_000.0].into_iter());
        for (value, at) in [(1.0, 0.0), (10.0, 1.0 / 3.0), (100.0, 2.0 / 3.0), (1_000.0, 1.0), (0.0, 0.0)] {
            assert!((scale.at(value) - at).abs() < 1e-9, "{value} at {}", scale.at(value));
        }
    }

    #[test]
    fn marks_are_few_and_round() {
        let log = Scale::covering(Kind::Log, [0.7, 24.0].into_iter()).ticks();
        assert_eq!(log, [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        let wide = Scale::covering(Kind::Log, [1.0, 1e6].into_iter()).ticks();
        assert_eq!(wide.len(), 7);
        let linear = Scale::covering(Kind::Linear, [42.0].into_iter()).ticks();
        assert_eq!(linear, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    }

    #[test]
    fn one_value_alone_or_none_gives_an_axis_too() {
        for kind in [Kind::Linear, Kind::Log] {
            for values in [vec![], vec![5.0], vec![0.0]] {
                let scale = Scale::covering(kind, values.into_iter());
                assert!(scale.low < scale.high && scale.at(5.0).is_finite(), "{scale:?}");
                assert!(scale.ticks().len() < 12, "{scale:?}");
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let said: Vec<String> = [0.0, 0.05, 0.5, 7.25, 20.0, 512.0, 1_000.0, 12_249.0, 1e6].map(short).into();
        assert_eq!(said, ["0", "0.05", "0.5", "7.25", "20", "512", "1k", "12.2k", "1M"]);
    }
}
