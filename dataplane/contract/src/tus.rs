//! Heads of TUS requests (contract tus.md Part A), judged the same way by both planes.
