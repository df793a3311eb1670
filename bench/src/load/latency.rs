//! Times of operations: a histogram with three significant digits from 1 µs to an hour, in nanoseconds.
//!
//! In JSON it is the list of its non-empty slots, `[[nanoseconds, count], …]`: enough to merge it with others, to draw it,
//! and to compute any percentile again.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LOWEST: u64 = 1_000;
const HIGHEST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

/// A histogram of durations.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS).expect("the bounds are constants"))
    }
}

impl Latency {
    /// What is longer than an hour counts as an hour.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all of them have the same bounds");
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Nanoseconds at `quantile` (0.99: the 99th percentile); `None` when nothing was recorded.
    pub fn at(&self, quantile: f64) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile))
    }

    /// Non-empty slots: nanoseconds and count, ascending.
    pub fn slots(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|slot| (slot.value_iterated_to(), slot.count_at_value()))
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.slots())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut latency = Self::default();
        for (value, count) in Vec::<(u64, u64)>::deserialize(from)? {
            latency.0.record_n(value.min(HIGHEST), count).map_err(serde::de::Error::custom)?;
        }
        Ok(latency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Latency {
        let mut latency = Latency::default();
        values.iter().for_each(|value| latency.record(Duration::from_nanos(*value)));
        latency
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn json_keeps_every_percentile(values in prop::collection::vec(1_000_u64..10_000_000_000, 1..200)) {
            let latency = of(&values);
            let json = serde_json::to_string(&latency).expect("a histogram is JSON");
            let back: Latency = serde_json::from_str(&json).expect("JSON is a histogram");
            for quantile in [0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
                prop_assert_eq!(back.at(quantile), latency.at(quantile));
            }
            prop_assert_eq!(back.count(), values.len() as u64);
        }

        #[test]
        fn merging_is_recording_both(one in prop::collection::vec(1_000_u64..1 << 40, 0..50), other in prop::collection::vec(1_000_u64..1 << 40, 0..50)) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            prop_assert_eq!(merged, of(&[one, other].concat()));
        }

        #[test]
        fn a_percentile_is_within_a_thousandth(mut values in prop::collection::vec(1_000_000_u64..1 << 40, 1..100)) {
            let found = of(&values).at(0.5).expect("not empty") as f64;
            values.sort_unstable();
            let exact = values[values.len().div_ceil(2) - 1] as f64;
            prop_assert!((found / exact - 1.0).abs() < 2e-3, "{} for {}", found, exact);
        }
    }

    #[test]
    fn nothing_recorded_has_no_percentile() {
        assert_eq!(Latency::default().at(0.99), None);
        assert_eq!(of(&[u64::MAX]).count(), 1, "what is too long still counts");
    }
}
