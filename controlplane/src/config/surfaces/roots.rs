//! Which paths a surface owns when it is at the root of a listener it shares (SURFACES.md §2): starts of
//! whole raw segments. CloudBackend's bucket, which is configured, comes on top.

use crate::catalogue::SurfaceId;

/// Starts of the paths of `surface`; the empty one is `/` itself and nothing below it.
pub const fn owned(surface: SurfaceId) -> &'static [&'static [&'static str]] {
    match surface {
        SurfaceId::EasyTransfer => &[&["tus"], &["api"], &["l"], &["s"]],
        SurfaceId::SecureFileTransfer => &[&["auth"], &["api", "files"]],
        SurfaceId::CloudBackend => &[&["user"], &["user-settings"], &["file"], &["drop"]],
        SurfaceId::StreamUpload => &[&["api", "scratch"]],
        SurfaceId::PyBlobServer => &[
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
