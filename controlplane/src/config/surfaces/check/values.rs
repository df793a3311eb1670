//! Values that make no sense by themselves (SURFACES.md §4, 6 to 8): where a dialect is, and rules that several dialects
//! have. What cannot be read as its type at all was told when it was read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Report, path};
use crate::config::surfaces::{Credential, Generated, Mount, Surfaces};
use crate::core::SurfaceId;

/// A configured key that signs tokens has at least this many bytes (SURFACES.md §4 item 7).
const KEY_BYTES_MIN: usize = 16;

/// Everything of all dialects that are there.
pub(super) fn check(surfaces: &Surfaces, report: &mut Report<'_>) {
    surfaces.enabled().for_each(|section| check_mount(section.surface(), section.mount(), report));
    surfaces.enabled().for_each(|section| section.check(report));
}

fn check_mount(surface: SurfaceId, mount: &Mount, report: &mut Report<'_>) {
    if let Some(prefix) = mount.prefix.0.as_deref().filter(|prefix| !is_prefix(prefix)) {
        let expected = format!("null, \"\", or a path such as /files without a slash at its end, and not {prefix:?}");
        report.tell(path(surface, "prefix"), expected);
    }
}

/// Empty, or whole segments that mean themselves in every reading.
fn is_prefix(prefix: &str) -> bool {
    let is_segment = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"%?#<>\"`\\^{|}".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    };
    prefix.is_empty() || prefix.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

/// 7 and 8, for keys that sign tokens.
pub fn check_key(path: String, key: &Generated, report: &mut Report<'_>) {
    let Some(text) = key.configured() else { return };
    if text == "supersecretkey" || text.starts_with("django-insecure-") {
        report.tell(path, "a key of its own, and not the published default of the original program".into());
    } else if text.len() < KEY_BYTES_MIN {
        report.tell(path, format!("{KEY_BYTES_MIN} bytes and more, or nothing: then one is made"));
    }
}

/// A token identifies a user: two users cannot have the same one.
pub fn check_holders<'h>(
    path: String,
    holders: impl Iterator<Item = (&'h Credential, &'h str)>,
    report: &mut Report<'_>,
) {
    let mut holder_of = BTreeMap::new();
    for (credential, user) in holders {
        let first = *holder_of.entry(credential.digest()).or_insert(user);
        if first != user {
            report.tell(path.clone(), format!("a token for each user, and {first:?} and {user:?} have the same one"));
        }
    }
}

/// What is there again, each time.
pub fn repeated<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}
