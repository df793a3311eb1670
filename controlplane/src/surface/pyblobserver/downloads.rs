//! Downloads counted (CONTRACT.md §4.2): in memory when they are granted, in the catalogue within a second and at the
//! end of the process. A download waits for nothing.
//!
//! Must stay true: a tally holds the whole count, not what was added, and stays until the catalogue has the same; so who
//! asks for the tally first and the catalogue then, and takes the larger, never misses one and never counts one twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Service;
use super::file::{self, Detail};
use super::user::User;
use crate::catalogue::{Entry, WriteError};
use crate::core::SurfaceId;
use crate::node::{Edit, Node};

/// How often counts are written down.
pub const FLUSH: Duration = Duration::from_millis(500);
/// Files of one edit.
const FILES_MAX: usize = 500;

/// Downloads of a file, or of all files of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub times: u64,
    /// Their bytes; of users only.
    pub bytes: u64,
    /// When the last one was; Unix milliseconds.
    pub last_ms: u64,
}

/// The tallies that the catalogue does not have yet.
#[derive(Debug, Default)]
pub struct Downloads {
    tallies: Mutex<Tallies>,
}

#[derive(Debug, Default)]
struct Tallies {
    /// By user; a user with files in [`files`](Self::files) is in here.
    users: HashMap<String, Tally>,
    /// By user and place.
    files: BTreeMap<(String, String), Tally>,
}

impl Downloads {
    /// Counts one download of `entry`.
    pub fn count(&self, node: &Node, entry: &Entry, at_ms: u64) {
        let (user, place) = (file::user_of(&entry.record), &entry.record.key);
        let mut tallies = self.lock();
        // What is not here the catalogue has, and it is read under this lock: nothing is between the two.
        let of_file = tallies.files.entry((user.to_owned(), place.clone())).or_insert_with(|| {
            let kept = node.by_place(SurfaceId::PyBlobServer, place);
            Tally { times: kept.map_or(0, |kept| Detail::of(&kept.record).downloads), ..Tally::default() }
        });
        of_file.times += 1;
        of_file.last_ms = of_file.last_ms.max(at_ms);
        let of_user = tallies.users.entry(user.to_owned()).or_insert_with(|| {
            let kept = User::read(node, user).unwrap_or_default();
            Tally { times: kept.downloads, bytes: kept.download_bytes, last_ms: 0 }
        });
        of_user.times += 1;
        of_user.bytes = of_user.bytes.saturating_add(entry.record.length.unwrap_or(0));
        of_user.last_ms = of_user.last_ms.max(at_ms);
    }

    /// Of one file, unless the catalogue has it all.
    pub fn of_file(&self, user: &str, place: &str) -> Option<Tally> {
        self.lock().files.get(&(user.to_owned(), place.to_owned())).copied()
    }

    /// Of all files of a user, by place.
    pub fn of_files(&self, user: &str) -> HashMap<String, Tally> {
        let tallies = self.lock();
        tallies.of(user).map(|((_, place), tally)| (place.clone(), *tally)).collect()
    }

    /// Of a user, unless the catalogue has it all.
    pub fn of_user(&self, user: &str) -> Option<Tally> {
        self.lock().users.get(user).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tallies {
    fn of<'t>(&'t self, user: &'t str) -> impl Iterator<Item = (&'t (String, String), &'t Tally)> {
        let from = self.files.range((user.to_owned(), String::new())..);
        from.take_while(move |((of, _), _)| of == user)
    }
}

impl Service {
    /// Writes down what was counted; what cannot be written stays counted.
    pub async fn flush(&self) -> Result<(), WriteError> {
        let node = &self.node;
        let users: Vec<String> = self.downloads.lock().users.keys().cloned().collect();
        for user in users {
            let _alone = User::lock(node, &user).await;
            self.flush_alone(node, &user).await?;
        }
        Ok(())
    }

    /// As [`flush`](Self::flush), of one user, for who holds their lock.
    pub async fn flush_alone(&self, node: &Node, user: &str) -> Result<(), WriteError> {
        let (whole, files) = {
            let tallies = self.downloads.lock();
            let files: Vec<_> = tallies.of(user).map(|((_, place), tally)| (place.clone(), *tally)).collect();
            (tallies.users.get(user).copied(), files)
        };
        for part in files.chunks(FILES_MAX) {
            let mut edit = Edit::default();
            for (place, tally) in part {
                // One that was deleted meanwhile stays deleted: that happens under the same lock.
                let Some(entry) = node.by_place(SurfaceId::PyBlobServer, place) else { continue };
                let mut record = entry.record;
                let detail = Detail::of(&record);
                let last_download_ms = detail.last_download_ms.max(Some(tally.last_ms));
                record.detail = Detail { downloads: tally.times, last_download_ms, ..detail }.to_value();
                edit = edit.put(record);
            }
            node.edit(edit).await?;
            let mut tallies = self.downloads.lock();
            for (place, tally) in part {
                let key = (user.to_owned(), place.clone());
                if tallies.files.get(&key) == Some(tally) {
                    tallies.files.remove(&key);
                }
            }
        }
        let Some(whole) = whole else { return Ok(()) };
        let mut kept = User::read(node, user).unwrap_or_default();
        kept.downloads = whole.times;
        kept.download_bytes = whole.bytes;
        kept.last_download_ms = kept.last_download_ms.max(Some(whole.last_ms));
        node.edit(kept.write(user, Edit::default())).await?;
        let mut tallies = self.downloads.lock();
        if tallies.users.get(user) == Some(&whole) {
            tallies.users.remove(user);
        }
        Ok(())
    }
}
