//! Heads of TUS requests (TUS.md), judged the same way by both planes.
//!
//! Must stay true: nothing here knows an upload or a configuration. What a head says alone is judged here, in the order
//! of TUS.md §A12 (version, header syntax, content type); what needs the upload is judged where the upload is.

mod append;
mod checksum;
mod concat;
mod create;
mod fields;
mod metadata;
mod method;
mod refusal;
mod version;

pub use append::{AppendHead, CONTENT_TYPE, PARALLEL_ALIGNMENT};
pub use checksum::{ALGORITHMS, Algorithm, Checksum};
pub use concat::{Concat, PARTS_MAX};
pub use create::{CreateHead, DeclaredLength};
pub use fields::Fields;
pub use metadata::Metadata;
pub use method::{EffectiveMethod, method_override};
pub use refusal::Refusal;
pub use version::{VERSION, version};
