//! How a run is shown: a line per second, a summary, a page.

mod chart;
pub mod html;
pub mod summary;
pub mod view;
