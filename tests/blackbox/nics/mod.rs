//! Several NICs, in network namespaces of their own.

mod device;
mod discovery;
mod doctor;
mod shaped;
mod spread;
mod stream;
