//! A line chart as inline SVG: axes with round ticks, a legend, nothing from elsewhere.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Distinguishable for people who see colours differently; readable on white and on black.
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#999999", "#b8a800"];

/// Named points, ascending in x.
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    /// From zero, in steps that are round in KiB, MiB or GiB.
    Binary,
    /// Powers of ten.
    Log,
}

/// An axis: its name, its division, and how its values are written.
pub struct Axis {
    pub name: &'static str,
    pub scale: Scale,
    pub show: fn(f64) -> String,
}

/// A chart with its heading; empty text when there are no points.
pub fn svg(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| series.points.iter());
    let (Some(xs), Some(ys)) = (Range::of(x.scale, points().map(|p| p.0)), Range::of(y.scale, points().map(|p| p.1)))
    else {
        return String::new();
    };
    let place = |(at_x, at_y): (f64, f64)| {
        let left = LEFT + xs.share(at_x) * (WIDTH - LEFT - RIGHT);
        let top = HEIGHT - BOTTOM - ys.share(at_y) * (HEIGHT - TOP - BOTTOM);
        (left, top)
    };
    let mut out = format!(
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\">",
        escape(title)
    );
    let mut add = |part: String| out.push_str(&part);
    for tick in ys.ticks() {
        let (_, top) = place((xs.low, tick));
        let (end, label) = (WIDTH - RIGHT, escape(&(y.show)(tick)));
        add(format!("<path class=\"grid\" d=\"M{LEFT} {top:.1}H{end}\"/>"));
        add(format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 6.0, top + 4.0));
    }
    for tick in xs.ticks() {
        let (left, _) = place((tick, ys.low));
        let label = escape(&(x.show)(tick));
        add(format!("<path class=\"grid\" d=\"M{left:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM));
        add(format!("<text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", HEIGHT - BOTTOM + 16.0));
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let names = (escape(x.name), escape(y.name));
    add(format!("<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", HEIGHT - 8.0, names.0));
    let turn = HEIGHT / 2.0;
    add(format!(
        "<text x=\"14\" y=\"{turn}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {turn})\">{}</text>",
        names.1
    ));
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        for point in &series.points {
            let (left, top) = place(*point);
            write!(path, "{left:.1},{top:.1} ").expect("text grows");
        }
        add(format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" points=\"{}\"/>",
            path.trim_end()
        ));
    }
    out.push_str("</svg>");
    if series.len() > 1 || series.iter().any(|series| !series.name.is_empty()) {
        out.push_str("<p class=\"legend\">");
        for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
            let name = escape(&series.name);
            write!(out, "<span><i style=\"background:{colour}\"></i>{name}</span> ").expect("text grows");
        }
        out.push_str("</p>");
    }
    out + "</figure>"
}

/// Text that cannot be markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What an axis spans.
struct Range {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Range {
    fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Option<Self> {
        let usable = values.filter(|value| value.is_finite() && (scale != Scale::Log || *value > 0.0));
        let (mut low, mut high) = usable.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return None;
        }
        match scale {
            Scale::Linear | Scale::Binary => {
                low = low.min(0.0);
                high = if high > low { high } else { low + 1.0 };
                let step = step(scale, high - low);
                high = (high / step).ceil() * step;
            }
            Scale::Log => {
                low = 10_f64.powf(low.log10().floor());
                high = 10_f64.powf(high.log10().ceil()).max(low * 10.0);
            }
        }
        Some(Self { scale, low, high })
    }

    /// 0 at the low end, 1 at the high one.
    fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear | Scale::Binary => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.low) / self.low).log10() / (self.high / self.low).log10(),
        };
        share.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear | Scale::Binary => {
                let step = step(self.scale, self.high - self.low);
                let count = ((self.high - self.low) / step).round() as u32;
                (0..=count).map(|tick| self.low + f64::from(tick) * step).collect()
            }
            Scale::Log => {
                let decades = (self.high / self.low).log10().round() as i32;
                (0..=decades).map(|decade| self.low * 10_f64.powi(decade)).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten (of a power of 1024): about five ticks.
fn step(scale: Scale, span: f64) -> f64 {
    let unit = if scale == Scale::Binary { 1024_f64.powf(span.max(1.0).log(1024.0).floor()) } else { 1.0 };
    let rough = span / unit / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| round * power >= rough).unwrap_or(10.0);
    round * power * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Axis = Axis { name: "s", scale: Scale::Linear, show: |value| format!("{value}") };

    #[test]
    fn axes_have_round_ticks_around_the_values() {
        let linear = Range::of(Scale::Linear, [3.0, 97.0].into_iter()).expect("values");
        assert_eq!(linear.ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        let log = Range::of(Scale::Log, [0.002, 5.0].into_iter()).expect("values");
        assert_eq!(log.ticks().len(), 5);
        assert!((log.low - 0.001).abs() < 1e-9 && (log.high - 10.0).abs() < 1e-9);
        let binary = Range::of(Scale::Binary, [9.0 * 1048576.0].into_iter()).expect("values");
        assert_eq!(binary.ticks()[1], 2.0 * 1048576.0);
        assert!(Range::of(Scale::Log, [0.0, -1.0].into_iter()).is_none());
        for values in [[0.0, 0.0], [5.0, 5.0], [1e-9, 1e12]] {
            let range = Range::of(Scale::Linear, values.into_iter()).expect("values");
            assert!(range.ticks().len() < 20 && values.iter().all(|value| (0.0..=1.0).contains(&range.share(*value))));
        }
    }

    #[test]
    fn a_chart_without_points_is_nothing() {
        assert_eq!(svg("t", &X, &X, &[]), "");
        let series = [Series { name: "<b>".into(), points: vec![(0.0, 1.0), (1.0, 2.0)] }];
        let text = svg("a & b", &X, &X, &series);
        assert!(text.contains("&lt;b&gt;") && text.contains("a &amp; b") && !text.contains("<b>"), "{text}");
    }
}
