//! `surfaces.*`: the four other dialects (SURFACES.md), one file of keys each.
//!
//! * [`mount`] the keys every surface has: where it is · [`roots`] what it owns at a root it shares
//! * [`secure_file_transfer`], [`cloudbackend`], [`stream_upload`], [`pyblobserver`] the tables of SURFACES.md §3
//! * [`host`] names in `Host` · [`generated`] secrets the node makes for itself, [`credential`] secrets it is only given a digest of
//! * [`check`] what is refused at the start and in a reload
//!
//! Must stay true: a table is the only place that names a key; what is hot there is taken over on reload, and nothing else.

#[macro_use]
mod table;

pub mod check;
pub mod cloudbackend;
pub mod credential;
pub mod generated;
pub mod host;
pub mod mount;
pub mod pyblobserver;
pub mod roots;
pub mod secure_file_transfer;
pub mod stream_upload;
mod text;

use std::net::SocketAddr;

pub use cloudbackend::{CloudBackend, Language};
pub use credential::Credential;
pub use generated::Generated;
pub use mount::{Mount, Prefix};
pub use pyblobserver::{AllowedUser, DatetimeFormat, PyBlobServer, TokenBootstrap};
pub use secure_file_transfer::{Device, DeviceSecret, SecureFileTransfer};
pub use stream_upload::{StreamToken, StreamUpload};
pub use text::{BaseUrl, Zone};

use super::reader::{Fault, Reader};
use super::reload::Hot;
use crate::catalogue::SurfaceId;

/// Environment names of the original programs, all of them.
pub const ORIGINAL_NAMES: [&str; 20] = [
    "SECRET_KEY",
    "ACCESS_TOKEN_EXPIRE_MINUTES",
    "CLEANUP_INTERVAL_SECONDS",
    "STALE_UPLOAD_TIMEOUT_SECONDS",
    "ALIYUN_ACCESS_KEY",
    "ALIYUN_ACCESS_KEY_SECRET",
    "OSS_BUCKET_NAME",
    "OSS_ENDPOINT",
    "BASE_URL",
    "ALLOWED_USERS",
    "FILE_SIZE_LIMIT_MB",
    "TOTAL_SIZE_LIMIT_MB",
    "DEFAULT_SHORT_PATH_LENGTH",
    "REQUEST_TIMES_PER_MINTUE",
    "REQUEST_TIMES_PER_MINUTE",
    "ALLOWED_ORIGINS",
    "BASE_FOLDER",
    "DATABASE_URL",
    "CACHE_TTL",
    "TUS_TEMP_FOLDER",
];

/// `surfaces.*`
#[derive(Debug, Clone, PartialEq)]
pub struct Surfaces {
    /// `surfaces.secure_file_transfer.*`
    pub secure_file_transfer: SecureFileTransfer,
    /// `surfaces.cloudbackend.*`
    pub cloudbackend: CloudBackend,
    /// `surfaces.stream_upload.*`
    pub stream_upload: StreamUpload,
    /// `surfaces.pyblobserver.*`
    pub pyblobserver: PyBlobServer,
}

impl Surfaces {
    /// Asks for every key there is; a surface nobody knows is a fault.
    pub(super) fn read(reader: &mut Reader) -> Self {
        let known = |name: &str| SurfaceId::ALL[1..].iter().any(|surface| surface.name() == name);
        for (name, source) in reader.names_below("surfaces") {
            if !known(&name) {
                let expected = "one of secure_file_transfer cloudbackend stream_upload pyblobserver".to_owned();
                reader.object(Fault { path: format!("surfaces.{}", name.escape_debug()), source, expected });
            }
        }
        let read = Self {
            secure_file_transfer: SecureFileTransfer::read(reader),
            cloudbackend: CloudBackend::read(reader),
            stream_upload: StreamUpload::read(reader),
            pyblobserver: PyBlobServer::read(reader),
        };
        PyBlobServer::accept_the_rest(reader);
        read
    }

    /// Takes the hot keys of `read` over.
    pub(super) fn take_hot(&mut self, read: &Self, hot: &mut Hot<'_>) {
        self.secure_file_transfer.take_hot(&read.secure_file_transfer, hot);
        self.cloudbackend.take_hot(&read.cloudbackend, hot);
        self.stream_upload.take_hot(&read.stream_upload, hot);
        self.pyblobserver.take_hot(&read.pyblobserver, hot);
        // The only key of SURFACES.md §2 that is listed in SURFACES.md §3 too.
        let origins = &mut self.pyblobserver.mount.cors_origins;
        hot.take("surfaces.pyblobserver.cors_origins", origins, &read.pyblobserver.mount.cors_origins);
    }

    /// Where the four are, in the order of SURFACES.md §3.
    pub fn mounts(&self) -> [(SurfaceId, &Mount); 4] {
        [
            (SurfaceId::SecureFileTransfer, &self.secure_file_transfer.mount),
            (SurfaceId::CloudBackend, &self.cloudbackend.mount),
            (SurfaceId::StreamUpload, &self.stream_upload.mount),
            (SurfaceId::PyBlobServer, &self.pyblobserver.mount),
        ]
    }

    /// Listeners of one surface alone, in the order in which the data plane binds and tells them.
    pub fn own_listeners(&self) -> Vec<(SurfaceId, SocketAddr)> {
        let enabled = self.mounts().into_iter().filter(|(_, mount)| mount.enabled);
        enabled.flat_map(|(surface, mount)| mount.listen.iter().map(move |address| (surface, *address))).collect()
    }
}

#[cfg(test)]
mod tests;
