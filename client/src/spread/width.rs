//! How many connections of one path carry: climbed up and down by the measured rate, one step at a time. Pure.

/// One more connection stays when the rate grew by this much.
const GAIN_MIN: f64 = 1.10;
/// One less stays when at least this much of the rate is left.
const LOSS_MAX: f64 = 0.97;
/// Observations between two steps that were taken back or led down.
const HOLD: u32 = 8;

/// What the last step was.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// None on trial; the next one after this many observations, upwards or not.
    Rest { left: u32, up_next: bool },
    /// One more, or one less, than with this rate.
    Trial { up: bool, before: f64 },
}

/// The width of one path.
#[derive(Debug, Clone)]
pub(super) struct Width {
    now: usize,
    most: usize,
    step: Step,
}

impl Width {
    /// Begins with `now` connections; never more than `most`, never less than one.
    pub fn new(now: usize, most: usize) -> Self {
        // One observation first: the first second is the ramp of the connections themselves.
        Self { now, most, step: Step::Rest { left: 1, up_next: true } }
    }

    /// The width for the time to come, after a time in which bytes moved at `rate`.
    pub fn observe(&mut self, rate: f64) -> usize {
        self.step = match self.step {
            Step::Rest { left, up_next } if left > 0 => Step::Rest { left: left - 1, up_next },
            Step::Rest { up_next, .. } => self.try_step(up_next, rate),
            Step::Trial { up: true, before } if rate > before * GAIN_MIN => self.try_step(true, rate),
            Step::Trial { up: true, .. } => {
                self.now -= 1;
                Step::Rest { left: HOLD, up_next: false }
            }
            Step::Trial { up: false, before } if rate >= before * LOSS_MAX => Step::Rest { left: HOLD, up_next: false },
            Step::Trial { up: false, .. } => {
                self.now += 1;
                Step::Rest { left: HOLD, up_next: true }
            }
        };
        self.now
    }

    fn try_step(&mut self, up: bool, before: f64) -> Step {
        match up {
            true if self.now < self.most => self.now += 1,
            false if self.now > 1 => self.now -= 1,
            _ => return Step::Rest { left: HOLD, up_next: !up },
        }
        Step::Trial { up, before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it gets to when every connection brings `each`, up to `limit` in all.
    fn settles(start: usize, each: f64, limit: f64) -> Vec<usize> {
        let mut width = Width::new(start, 8);
        let mut now = start;
        let mut seen = Vec::new();
        for _ in 0..200 {
            now = width.observe((now as f64 * each).min(limit));
            seen.push(now);
        }
        seen.split_off(150)
    }

    #[test]
    fn connections_that_help_are_kept_and_others_are_not() {
        for (start, each, limit, wanted) in [
            (2, 100.0, 1e9, 8),   // every one helps: all that are allowed
            (2, 100.0, 100.0, 1), // one fills the path
            (8, 100.0, 300.0, 3),
            (1, 100.0, 500.0, 5),
            (1, 0.0, 0.0, 1),
        ] {
            let settled = settles(start, each, limit);
            assert!(settled.iter().all(|now| now.abs_diff(wanted) <= 1), "{start} {each} {limit}: {settled:?}");
            let there = settled.iter().filter(|now| **now == wanted).count();
            assert!(there * 4 >= settled.len() * 3, "{start} {each} {limit}: {settled:?}");
        }
    }
}
