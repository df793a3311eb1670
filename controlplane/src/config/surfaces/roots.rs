//! Which paths a surface owns when it is at the root of a listener it shares (SURFACES.md §2): starts of
//! whole raw segments. CloudBackend's bucket, which is configured, comes on top.

use crate::catalogue::Surface;

/// Starts of the paths of `surface`; the empty one is `/` itself and nothing below it.
pub const fn owned(surface: Surface) -> &'static [&'static [&'static str]] {
    match surface {
        Surface::EasyTransfer => &[&["tus"], &["api"], &["l"], &["s"]],
        Surface::SecureFileTransfer => &[&["auth"], &["api", "files"]],
        Surface::CloudBackend => &[&["user"], &["user-settings"], &["file"], &["drop"]],
        Surface::StreamUpload => &[&["api", "scratch"]],
        Surface::PyBlobServer => &[
            &[],
            &["user"],
            &["s"],
            &["upload"],
            &["upload_batch"],
            &["upload_socket"],
            &["upload_tus"],
            &["list"],
            &["delete"],
            &["delete_all"],
            &["health"],
            &["auth"],
        ],
    }
}
