//! The audit log: who did what to which object, from where, with what result, one event each, under the target [`TARGET`]
//! (the log of the node writes them as JSON lines). Refusals of strangers are folded ([`Denials`]).
//!
//! Must stay true: no event holds a secret; a token is named by its digest, an object by its id, never by its name; a
//! name that no account has is not written down, for it may be a password in the wrong field; a refused client fills
//! the log no faster than [`AUDIT_ROWS_MAX`] rows a minute.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use etransfer_contract::ObjectId;

use crate::authority::table::Table;
use crate::authority::{Caller, origin};
use crate::bounds::{AUDIT_FOLD, AUDIT_KINDS_MAX, AUDIT_NAME_BYTES_MAX, AUDIT_ROWS_MAX};
use crate::core::{SurfaceId, UserId};

/// Target of every event.
pub const TARGET: &str = "etransfer::audit";

/// An upload was made.
pub const CREATE: &str = "create";
/// Content was asked for and may be had.
pub const DOWNLOAD: &str = "download";
/// An upload or file was taken away.
pub const DELETE: &str = "delete";

/// A caller acted on an object.
pub fn object(caller: &Caller, action: &'static str, object: ObjectId) {
    tracing::info!(target: TARGET, who = %caller.name(), from = %From, action, %object, result = "ok");
}

/// A user that only a dialect knows acted on an object.
pub fn surface(surface: SurfaceId, who: &str, action: &'static str, object: ObjectId) {
    let who = Named(surface, who);
    tracing::info!(target: TARGET, %who, from = %From, action, %object, result = "ok");
}

/// A user that only a dialect knows did something that is about no object: signed in, changed a token or an account.
pub fn act(surface: SurfaceId, who: &str, action: &'static str) {
    let who = Named(surface, who);
    tracing::info!(target: TARGET, %who, from = %From, action, result = "ok");
}

/// The same, done to another user.
pub fn act_on(surface: SurfaceId, who: &str, action: &'static str, whom: &str) {
    let who = Named(surface, who);
    tracing::info!(target: TARGET, %who, from = %From, action, whom, result = "ok");
}

/// A caller acted on the node.
pub fn node(caller: &Caller, action: &'static str) {
    tracing::info!(target: TARGET, who = %caller.name(), from = %From, action, result = "ok");
}

/// A caller acted on a person.
pub fn person(caller: &Caller, action: &'static str, user: UserId) {
    tracing::info!(target: TARGET, who = %caller.name(), from = %From, action, user, result = "ok");
}

/// A caller acted on a group.
pub fn group(caller: &Caller, action: &'static str, group: i64) {
    tracing::info!(target: TARGET, who = %caller.name(), from = %From, action, group, result = "ok");
}

/// A person signed in or out.
pub fn login(user: UserId, username: &str, action: &'static str) {
    tracing::info!(target: TARGET, who = %format_args!("user {user} {username}"), from = %From, action, result = "ok");
}

/// A user of a dialect.
struct Named<'a>(SurfaceId, &'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.0.name(), cut(self.1))
    }
}

/// The address of the request under way.
struct From;

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match origin::now() {
            Some(origin::Origin { address: Some(address), .. }) => write!(f, "{address}"),
            Some(_) => f.write_str("this machine"),
            None => f.write_str("the node itself"),
        }
    }
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(AUDIT_NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// What was refused, to whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    address: Option<IpAddr>,
    surface: SurfaceId,
    status: u16,
    /// At whom it was aimed, when there is such a one.
    whom: Option<String>,
}

#[derive(Debug)]
struct Fold {
    since: Instant,
    /// Beside the one that has a row already.
    more: u64,
}

/// Refusals (401, 403 and 429), folded: the first of a kind has its row at once, the others of the same minute are one
/// row together.
#[derive(Debug)]
pub struct Denials(Mutex<Folds>);

#[derive(Debug)]
struct Folds {
    kinds: Table<Kind, Fold>,
    minute: Instant,
    rows: u32,
    untold: u64,
}

impl Default for Denials {
    fn default() -> Self {
        Self(Mutex::new(Folds { kinds: Table::new(AUDIT_KINDS_MAX), minute: Instant::now(), rows: 0, untold: 0 }))
    }
}

impl Denials {
    /// The request under way is refused.
    pub fn note(&self, status: u16) {
        self.note_at(status, None);
    }

    /// A login of the request under way failed; `whom`: whose it would have been, when there is such a one.
    pub fn note_login(&self, whom: Option<&str>) {
        self.note_at(401, Some(whom.map_or("nobody known", cut))); // word: ok
    }

    fn note_at(&self, status: u16, whom: Option<&str>) {
        let Some(origin) = origin::now() else { return };
        let kind = Kind { address: origin.address, surface: origin.surface, status, whom: whom.map(str::to_owned) };
        let mut folds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        folds.unfold();
        match folds.kinds.get_mut(&kind) {
            Some(fold) => fold.more += 1,
            None => {
                folds.tell(&kind, 1);
                if let Some((gone, fold)) = folds.kinds.put(kind, Fold { since: Instant::now(), more: 0 }) {
                    folds.end(&gone, &fold);
                }
            }
        }
    }

    /// Tells what the last minute folded; to be called now and then, so that the last refusals are told too.
    pub fn tell(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unfold();
    }
}

impl Folds {
    fn unfold(&mut self) {
        while self.kinds.oldest().is_some_and(|(_, fold)| fold.since.elapsed() >= AUDIT_FOLD) {
            if let Some((kind, fold)) = self.kinds.pop_oldest() {
                self.end(&kind, &fold);
            }
        }
        if self.minute.elapsed() >= AUDIT_FOLD {
            let untold = std::mem::take(&mut self.untold);
            if untold > 0 {
                tracing::info!(target: TARGET, who = "many", action = "refused", times = untold, result = "denied");
            }
            (self.minute, self.rows) = (Instant::now(), 0);
        }
    }

    fn end(&mut self, kind: &Kind, fold: &Fold) {
        if fold.more > 0 {
            self.tell(kind, fold.more);
        }
    }

    fn tell(&mut self, kind: &Kind, times: u64) {
        if self.rows >= AUDIT_ROWS_MAX {
            self.untold += times;
            return;
        }
        self.rows += 1;
        let Kind { address, surface, status, whom } = kind;
        let from = address.map_or_else(|| "this machine".to_owned(), |address| address.to_string());
        let surface = surface.name();
        match whom {
            Some(whom) => {
                let who = format_args!("{surface} {whom:?}");
                tracing::info!(target: TARGET, %who, %from, action = "sign in", status, times, result = "denied");
            }
            None => {
                tracing::info!(
                    target: TARGET, who = "unknown", %from, action = "request", surface, status, times, result = "denied"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::origin::{Origin, within};

    #[tokio::test]
    async fn refusals_without_number_are_a_bounded_number_of_rows() {
        let denials = Denials::default();
        for number in 0..20_000u32 {
            let address = Some(IpAddr::from(number.to_be_bytes()));
            let origin = Origin { address, surface: SurfaceId::EasyTransfer };
            within(origin, async { denials.note(401) }).await;
        }
        let folds = denials.0.lock().unwrap();
        assert_eq!((folds.rows, folds.untold), (AUDIT_ROWS_MAX, 20_000 - u64::from(AUDIT_ROWS_MAX)));
        assert!(folds.kinds.len() <= AUDIT_KINDS_MAX);
    }

    #[tokio::test]
    async fn the_same_refusal_again_is_no_row() {
        let denials = Denials::default();
        let origin = Origin { address: Some(IpAddr::from([192, 0, 2, 1])), surface: SurfaceId::CloudBackend };
        within(origin, async {
            (0..100).for_each(|_| denials.note(401));
            (0..100).for_each(|_| denials.note_login(Some("ann")));
        })
        .await;
        assert_eq!(denials.0.lock().unwrap().rows, 2);
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(cut("ann"), "ann");
        assert_eq!(cut(&"ä".repeat(100)).chars().count(), AUDIT_NAME_BYTES_MAX / 2);
    }
}
