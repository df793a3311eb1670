//! How a run is shown: a line per second, a summary, a page.

mod chart;
pub mod figures;
pub mod html;
#[cfg(feature = "live")]
mod live;
pub mod summary;
pub mod view;
