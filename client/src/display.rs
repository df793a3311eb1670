//! Progress on stderr: a bar on a terminal, otherwise a line every 2 s, nothing when quiet.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etransfer_client::{Note, Progress, Share};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::human;
use crate::printer::{Printer, complain};

/// Between two lines when there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// The same note is not repeated within this time.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows one transfer.
pub struct Display {
    label: String,
    quiet: bool,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    started: Instant,
    line_at: Instant,
    /// Bytes that were there before this run.
    before: Option<u64>,
    note: Option<(String, Instant)>,
}

impl Display {
    pub fn new(printer: Printer, label: String) -> Self {
        let terminal = std::io::stderr().is_terminal() && !printer.is_quiet();
        let now = Instant::now();
        let bar = terminal.then(|| make_bar(&label));
        let state = Mutex::new(State { started: now, line_at: now, before: None, note: None });
        Self { label, quiet: printer.is_quiet(), bar, state }
    }

    /// Ends the display.
    pub fn finish(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    /// Size, time and rate of a transfer that ended well, and what went over which address; the rate is of what travelled
    /// in this run.
    pub fn summary(&self, size: u64, shares: &[Share]) -> String {
        let state = self.state();
        let (time, moved) = (state.started.elapsed(), size.saturating_sub(state.before.unwrap_or(0)));
        let mut text = format!("{} in {:.1} s ({})", human::size(size), time.as_secs_f64(), human::rate(moved, time));
        for (at, share) in shares.iter().enumerate() {
            let before = if at == 0 { "; over" } else { "," };
            text.push_str(&format!("{before} {} {}", share.endpoint, human::size(share.bytes)));
        }
        text
    }

    fn say(&self, line: &str) {
        match &self.bar {
            _ if self.quiet => {}
            Some(bar) => bar.suspend(|| complain(line)),
            None => complain(line),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Display {
    fn at(&self, done: u64, total: u64) {
        let mut state = self.state();
        let before = *state.before.get_or_insert(done);
        if let Some(bar) = &self.bar {
            drop(state);
            if bar.length() != Some(total) {
                bar.set_length(total);
            }
            bar.set_position(done);
            return;
        }
        if state.line_at.elapsed() < LINE_INTERVAL {
            return;
        }
        state.line_at = Instant::now();
        let rate = human::rate(done.saturating_sub(before), state.started.elapsed());
        drop(state);
        let (percent, done, total) = (human::percent(done, total), human::size(done), human::size(total));
        self.say(&format!("{}: {done} of {total} ({percent}%), {rate}", self.label));
    }

    fn note(&self, note: Note) {
        let text = words(&note);
        let mut state = self.state();
        if let Note::Resumed { present } = note {
            state.before = Some(present);
            self.bar.iter().for_each(ProgressBar::reset_eta);
        }
        let repeated = state.note.as_ref().is_some_and(|(last, at)| *last == text && at.elapsed() < NOTE_INTERVAL);
        if !repeated {
            state.note = Some((text.clone(), Instant::now()));
            drop(state);
            self.say(&format!("{}: {text}", self.label));
        }
    }
}

fn make_bar(label: &str) -> ProgressBar {
    let template = "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).expect("a constant template").progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style);
    bar.set_prefix(label.to_owned());
    bar
}

/// A note for a person. Counts that change all the time are left out, so that repetition can be seen.
pub fn words(note: &Note) -> String {
    use etransfer_client::Why;
    match note {
        Note::Resumed { present } => format!("continuing, {} already there", human::size(*present)),
        Note::StartedAnew(Why::SourceChanged) => "the file changed since the last try; starting a new upload".into(),
        Note::StartedAnew(Why::Gone) => "the server has the earlier upload no more; starting a new one".into(),
        Note::StartedAnew(Why::RemoteChanged) => "the file changed on the server; starting over".into(),
        Note::Retrying { cause, .. } => format!("trying again: {cause}"),
        Note::WaitingForSpace { used: Some(used), max: Some(max) } => {
            format!("the server is full ({} of {}); waiting for room", human::size(*used), human::size(*max))
        }
        Note::WaitingForSpace { .. } => "the server is full; waiting for room".into(),
        Note::Following { .. } => "the upload is still running; following it".into(),
        Note::Spread { over } => format!("over {over} address{} of the node", if *over == 1 { "" } else { "es" }),
        Note::EndpointLost { endpoint } => format!("{endpoint} is left out for now"),
        Note::EndpointBack { endpoint } => format!("{endpoint} is back"),
        Note::InOrderOnly => "the server takes bytes in order only; one connection".into(),
    }
}
