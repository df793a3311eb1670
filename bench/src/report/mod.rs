//! How a run is shown: a summary, a page.

mod chart;
pub mod figures;
pub mod html;
pub mod summary;
