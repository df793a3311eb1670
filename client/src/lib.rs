//! The et client library.
