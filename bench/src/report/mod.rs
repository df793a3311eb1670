//! How a run is shown: a line per second, a summary, a page.

pub mod summary;
pub mod view;
