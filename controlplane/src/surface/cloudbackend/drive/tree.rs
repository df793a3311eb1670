//! Folders as trees: what a change of one folder does to everything below it, in one step (CONTRACT.md §A4).
//!
//! Two folders of the same name in the same place share what is in them: a path does not say which of them it means.

use super::item::Item;
use super::path::FolderPath;

/// A move that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// A folder into itself.
    IntoItself,
    /// What is below would have too long a path.
    TooLong,
}

/// The items that go with `item`: itself, and whatever is below it.
pub fn with_all_below(item: &Item, all: Vec<Item>) -> Vec<Item> {
    let inside = item.inside();
    let goes = |other: &Item| other.id == item.id || inside.as_ref().is_some_and(|inside| inside.holds(&other.path));
    all.into_iter().filter(goes).collect()
}

/// What has another path when `before` becomes `after`: everything below it that is among `all`, as it is afterwards.
pub fn follow(before: &Item, after: &Item, all: Vec<Item>) -> Result<Vec<Item>, Misplaced> {
    let Some((from, to)) = before.inside().zip(after.inside()) else { return Ok(Vec::new()) };
    if from == to {
        return Ok(Vec::new());
    }
    if from.holds(&after.path) {
        return Err(Misplaced::IntoItself);
    }
    let below = all.into_iter().filter(|item| item.id != before.id);
    let moved: Vec<Item> =
        below.filter_map(|item| item.path.moved(&from, &to).map(|path| Item { path, ..item })).collect();
    if moved.iter().all(|item| item.path.fits()) { Ok(moved) } else { Err(Misplaced::TooLong) }
}

/// Direct children of a folder.
pub fn children(path: &FolderPath, all: Vec<Item>) -> Vec<Item> {
    all.into_iter().filter(|item| item.path == *path).collect()
}

#[cfg(test)]
mod tests;
