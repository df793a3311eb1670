//! The live view of a run on a terminal: throughput and operations as they come, latency, the last seconds as text.
//!
//! Must stay true: the terminal is given back however the run ends; `q` and Ctrl-C stop the run.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::{Block, List, Paragraph, Sparkline};

use super::line;
use crate::record::Second;
use crate::units::{bytes, digits, nanoseconds};
use crate::workload::Workload;

/// Seconds that are kept to be drawn: more than any terminal is wide.
const KEPT: usize = 1_000;

/// The terminal, taken over until this is dropped.
pub struct Live {
    terminal: ratatui::DefaultTerminal,
    picture: Picture,
}

/// What is drawn.
#[derive(Default)]
struct Picture {
    title: String,
    seconds: Vec<Second>,
}

impl Live {
    pub fn take_terminal() -> Result<Self> {
        Ok(Self { terminal: ratatui::try_init().context("take over the terminal")?, picture: Picture::default() })
    }

    pub fn begin(&mut self, name: &str, url: &str, workload: &Workload) -> Result<()> {
        self.picture.title =
            format!("{name} against {url}: {} after {} of warm-up", workload.duration, workload.warm_up);
        self.draw()
    }

    pub fn second(&mut self, second: &Second) -> Result<()> {
        self.picture.seconds.push(second.clone());
        if self.picture.seconds.len() > KEPT {
            self.picture.seconds.remove(0);
        }
        self.draw()
    }

    /// An error when the run should stop.
    pub fn poll(&mut self) -> Result<()> {
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if key.code == KeyCode::Char('q') => bail!("stopped"),
                Event::Key(key) if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) => {
                    bail!("stopped")
                }
                Event::Resize(..) => self.draw()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> Result<()> {
        self.terminal.draw(|frame| self.picture.draw(frame)).context("draw")?;
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// A figure of a second, its name, and how it is written.
struct Figure {
    name: &'static str,
    of: fn(&Second) -> u64,
    show: fn(u64) -> String,
}

const FIGURES: [Figure; 4] = [
    Figure {
        name: "operations/s",
        of: |second| per_second(second, second.completed),
        show: |value| digits(value as f64),
    },
    Figure { name: "up/s", of: |second| per_second(second, second.sent_bytes), show: |value| bytes(value as f64) },
    Figure {
        name: "down/s",
        of: |second| per_second(second, second.received_bytes),
        show: |value| bytes(value as f64),
    },
    Figure { name: "p99", of: |second| second.p99_ns.unwrap_or(0), show: nanoseconds },
];

impl Picture {
    fn draw(&self, frame: &mut Frame<'_>) {
        let [title, plots, tail] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(20), Constraint::Min(3)]).areas(frame.area());
        frame.render_widget(Paragraph::new(format!("{}  (q stops)", self.title)), title);
        let areas = Layout::vertical([Constraint::Fill(1); FIGURES.len()]).split(plots);
        for (figure, area) in FIGURES.iter().zip(areas.iter()) {
            self.plot(frame, *area, figure);
        }
        let newest = self.seconds.iter().rev().take(tail.height.saturating_sub(2).into()).map(line);
        frame.render_widget(List::new(newest).block(Block::bordered().title("newest first")), tail);
    }

    fn plot(&self, frame: &mut Frame<'_>, area: Rect, Figure { name, of, show }: &Figure) {
        let inside = usize::from(area.width.saturating_sub(2));
        let from = self.seconds.len().saturating_sub(inside);
        let values: Vec<u64> = self.seconds[from..].iter().map(of).collect();
        let now = values.last().copied().map_or_else(|| "-".to_owned(), show);
        let most = values.iter().max().copied().map_or_else(|| "-".to_owned(), show);
        let block = Block::bordered().title(format!("{name} {now}, most {most}"));
        frame.render_widget(Sparkline::default().data(&values).block(block), area);
    }
}

fn per_second(second: &Second, value: u64) -> u64 {
    (value as f64 / second.length_seconds) as u64
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::record::tests::sample;

    #[test]
    fn the_picture_shows_what_is_going_on() {
        for (width, height) in [(100, 40), (20, 5), (1, 1)] {
            let picture = Picture { title: "small against here".into(), seconds: sample("a", &[100, 250], 5).seconds };
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal in memory");
            terminal.draw(|frame| picture.draw(frame)).expect("drawn");
            let text = terminal.backend().to_string();
            if width == 100 {
                for word in ["small against here", "operations/s 250, most 250", "p99 5.50 ms", "2 s       250 op/s"] {
                    assert!(text.contains(word), "{word} in\n{text}");
                }
            }
        }
    }
}
