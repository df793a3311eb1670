//! Values that make no sense by themselves (SURFACES.md §4, 6 to 8). What cannot be read as its type at all
//! was told when it was read.

use std::collections::BTreeMap;

use super::{Report, Surfaces, path};
use crate::catalogue::SurfaceId;
use crate::config::surfaces::{
    CloudBackend, Credential, DeviceSecret, Generated, Mount, PyBlobServer, SecureFileTransfer, StreamUpload,
};
use crate::surface::password::is_usable;

/// A configured key that signs tokens has at least this many bytes (SURFACES.md §4 item 7).
const KEY_BYTES_MIN: usize = 16;
/// A stream token has at least this many characters (SURFACES.md §4 item 7).
const STREAM_TOKEN_MIN: usize = 8;

pub fn check(surfaces: &Surfaces, report: &mut Report<'_>) {
    for (surface, mount) in surfaces.mounts() {
        if mount.enabled {
            check_mount(surface, mount, report);
        }
    }
    if surfaces.secure_file_transfer.mount.enabled {
        check_devices(&surfaces.secure_file_transfer, report);
    }
    if surfaces.cloudbackend.mount.enabled {
        check_cloud(&surfaces.cloudbackend, report);
    }
    if surfaces.stream_upload.mount.enabled {
        check_stream(&surfaces.stream_upload, report);
    }
    if surfaces.pyblobserver.mount.enabled {
        check_pyblob(&surfaces.pyblobserver, report);
    }
}

fn check_mount(surface: SurfaceId, mount: &Mount, report: &mut Report<'_>) {
    if let Some(prefix) = mount.prefix.0.as_deref().filter(|prefix| !is_prefix(prefix)) {
        let expected = format!("null, \"\", or a path such as /files without a slash at its end, and not {prefix:?}");
        report.tell(path(surface, "prefix"), expected);
    }
}

/// Empty, or whole segments that mean themselves in every reading.
fn is_prefix(prefix: &str) -> bool {
    let is_segment = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"%?#<>\"`\\^{|}".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    };
    prefix.is_empty() || prefix.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

fn check_devices(settings: &SecureFileTransfer, report: &mut Report<'_>) {
    let at = |key: &str| path(SurfaceId::SecureFileTransfer, key);
    check_key(at("secret_key"), &settings.secret_key, report);
    for (key, value) in
        [("cleanup_interval_seconds", settings.cleanup_interval_seconds), ("max_pieces", settings.max_pieces)]
    {
        if value == 0 {
            report.tell(at(key), "an integer from 1".into());
        }
    }
    for device in &settings.devices {
        if !is_device_id(&device.device_id) {
            let expected = format!("ids of 1 to 128 of A-Z a-z 0-9 . _ @ -, and not {:?}", device.device_id);
            report.tell(at("devices"), expected);
        }
        if let DeviceSecret::Hash(hash) = &device.secret
            && !is_usable(hash.expose())
        {
            let expected = format!(
                "an argon2id PHC string (m up to 1048576, t up to 16) as secret_hash of {:?}",
                device.device_id
            );
            report.tell(at("devices"), expected);
        }
    }
    for twice in repeated(settings.devices.iter().map(|device| device.device_id.as_str())) {
        report.tell(at("devices"), format!("every device once, and {twice:?} is there again"));
    }
}

fn is_device_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte))
}

fn check_cloud(settings: &CloudBackend, report: &mut Report<'_>) {
    let at = |key: &str| path(SurfaceId::CloudBackend, key);
    check_key(at("jwt_secret"), &settings.jwt_secret, report);
    if settings.access_key_secret.configured().is_some() && settings.access_key_id.configured().is_none() {
        report.tell(at("access_key_secret"), "access_key_id beside it".into());
    }
    if !is_bucket(&settings.bucket) {
        let expected = format!("3 to 63 of a-z 0-9 -, no - at either end, and not {:?}", settings.bucket);
        report.tell(at("bucket"), expected);
    }
    if settings.share_expire_days.is_empty() {
        report.tell(at("share.expire_days"), "at least one number of days".into());
    }
    if !(1..=settings.share_max_code_length).contains(&settings.share_generated_code_length) {
        report.tell(at("share.generated_code_length"), "an integer from 1 to share.max_code_length".into());
    }
}

fn is_bucket(bucket: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&bucket.len()) && bucket.bytes().all(inner) && !bucket.starts_with('-') && !bucket.ends_with('-')
}

fn check_stream(settings: &StreamUpload, report: &mut Report<'_>) {
    let at = |key: &str| path(SurfaceId::StreamUpload, key);
    for token in &settings.tokens {
        if let Credential::Plain(text) = &token.credential
            && text.expose().len() < STREAM_TOKEN_MIN
        {
            let expected = format!("tokens of {STREAM_TOKEN_MIN} characters and more, for {:?} too", token.user);
            report.tell(at("tokens"), expected);
        }
    }
    let holders = settings.tokens.iter().map(|token| (&token.credential, token.user.as_str()));
    check_holders(at("tokens"), holders, report);
}

fn check_pyblob(settings: &PyBlobServer, report: &mut Report<'_>) {
    let at = |key: &str| path(SurfaceId::PyBlobServer, key);
    if !(8..=64).contains(&settings.short_path_length) {
        report.tell(at("short_path_length"), "an integer from 8 to 64".into());
    }
    for allowed in &settings.allowed_users {
        if let Some(Credential::Plain(token)) = &allowed.preset
            && !(16..=128).contains(&token.expose().len())
        {
            let expected = format!("a token of 16 to 128 visible ASCII characters for {:?}", allowed.user);
            report.tell(at("allowed_users"), expected);
        }
    }
    for twice in repeated(settings.allowed_users.iter().map(|allowed| allowed.user.as_str())) {
        report.tell(at("allowed_users"), format!("every user once, and {twice:?} is there again"));
    }
    let holders = settings.allowed_users.iter();
    let holders = holders.filter_map(|allowed| Some((allowed.preset.as_ref()?, allowed.user.as_str())));
    check_holders(at("allowed_users"), holders, report);
}

/// 7 and 8, for keys that sign tokens.
fn check_key(path: String, key: &Generated, report: &mut Report<'_>) {
    let Some(text) = key.configured() else { return };
    if text == "supersecretkey" || text.starts_with("django-insecure-") {
        report.tell(path, "a key of its own, and not the published default of the original program".into());
    } else if text.len() < KEY_BYTES_MIN {
        report.tell(path, format!("{KEY_BYTES_MIN} bytes and more, or nothing: then one is made"));
    }
}

/// A token says who somebody is: two users cannot have the same one.
fn check_holders<'h>(path: String, holders: impl Iterator<Item = (&'h Credential, &'h str)>, report: &mut Report<'_>) {
    let mut holder_of = BTreeMap::new();
    for (credential, user) in holders {
        let first = *holder_of.entry(credential.digest()).or_insert(user);
        if first != user {
            report.tell(path.clone(), format!("a token for each user, and {first:?} and {user:?} have the same one"));
        }
    }
}

/// What is there again, each time.
fn repeated<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = std::collections::BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}
