//! Resolution: tables for its order, and a property against a naive model that compares segments.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::config::surfaces::section::Roots;
use crate::config::{Layers, from_layers, parse_yaml};

fn mounts(yaml: &str) -> Mounts {
    let file = parse_yaml(&format!("surfaces: {{{yaml}}}")).unwrap();
    // All are there unless the text says otherwise.
    let all = ["SECURE_FILE_TRANSFER", "CLOUDBACKEND", "STREAM_UPLOAD", "PYBLOBSERVER"];
    let environment = all.map(|name| (format!("SURFACES__{name}"), "{}".to_owned())).into();
    let layers = Layers { file: Some(("test.yaml".into(), file)), environment, ..Layers::all() };
    Mounts::of(&from_layers(layers).unwrap().config)
}

/// `surface prefix rest`
fn found(mounts: &Mounts, listener: &str, host: &str, path: &str) -> String {
    let (mounted, rest) = mounts.resolve(listener.parse().ok(), Some(host), path);
    let bucket = if mounted.is_own_host { " bucket" } else { "" };
    format!("{} {:?} {rest}{bucket}", mounted.surface.name(), mounted.prefix)
}

#[test]
fn nothing_is_there_that_nobody_named() {
    let of = |yaml: &str| {
        let file = parse_yaml(yaml).unwrap();
        let layers = Layers { file: Some(("test.yaml".into(), file)), ..Layers::all() };
        Mounts::of(&from_layers(layers).unwrap().config)
    };
    let paths = ["/api/scratch/stream-upload", "/user/login/", "/cloud/x", "/blob/s/x", "/sft/auth/token"];
    for path in paths {
        assert!(found(&of("{}"), "", "", path).starts_with("easytransfer "), "{path}");
    }
    let one = of("surfaces: {pyblobserver: {}}");
    assert!(found(&one, "", "", "/blob/s/x").starts_with("pyblobserver "));
    assert!(found(&one, "", "", "/sft/auth/token").starts_with("easytransfer "));
    assert!(found(&of("surfaces: {pyblobserver: }"), "", "", "/blob/s/x").starts_with("pyblobserver "));
    assert!(found(&of("surfaces: {pyblobserver: {enabled: false}}"), "", "", "/blob/s/x").starts_with("easytransfer "));
}

#[test]
fn section_2_the_defaults_share_one_listener() {
    let mounts = mounts("");
    for (path, expected) in [
        ("/", "easytransfer \"\" /"),
        ("*", "easytransfer \"\" *"),
        ("/tus/x", "easytransfer \"\" /tus/x"),
        ("/api/files", "easytransfer \"\" /api/files"),
        ("/s/x", "easytransfer \"\" /s/x"),
        ("/api/scratch/stream-upload", "stream_upload \"\" /api/scratch/stream-upload"),
        ("/api/scratch", "stream_upload \"\" /api/scratch"),
        ("/api/scratchy", "easytransfer \"\" /api/scratchy"),
        ("/scratch", "easytransfer \"\" /scratch"),
        ("/user/login/", "cloudbackend \"\" /user/login/"),
        ("/user-settings/", "cloudbackend \"\" /user-settings/"),
        ("/users", "easytransfer \"\" /users"),
        ("/file/", "cloudbackend \"\" /file/"),
        ("/drop/1/", "cloudbackend \"\" /drop/1/"),
        ("/cloud", "cloudbackend \"\" /cloud"),
        ("/cloud//a/../b", "cloudbackend \"\" /cloud//a/../b"),
        ("/clouds", "easytransfer \"\" /clouds"),
        ("/blob", "pyblobserver \"/blob\" /"),
        ("/blob/", "pyblobserver \"/blob\" /"),
        ("/blob/s/x", "pyblobserver \"/blob\" /s/x"),
        ("/blobs", "easytransfer \"\" /blobs"),
        ("/Blob/s/x", "easytransfer \"\" /Blob/s/x"),
        ("/sft/auth/token", "secure_file_transfer \"/sft\" /auth/token"),
    ] {
        assert_eq!(found(&mounts, "127.0.0.1:8765", "files.test", path), expected, "{path}");
    }
}

#[test]
fn section_2_paths_that_look_like_traversal_stay_with_their_mount() {
    let mounts = mounts("");
    for (path, expected) in [
        ("/blob/../tus/x", "pyblobserver \"/blob\" /../tus/x"),
        ("/blob/%2e%2e/tus/x", "pyblobserver \"/blob\" /%2e%2e/tus/x"),
        ("/blob/..%2Ftus", "pyblobserver \"/blob\" /..%2Ftus"),
        ("/blob//tus", "pyblobserver \"/blob\" //tus"),
        ("/blob/..\\tus", "pyblobserver \"/blob\" /..\\tus"),
        ("//blob/s/x", "easytransfer \"\" //blob/s/x"),
        ("/./blob/s/x", "easytransfer \"\" /./blob/s/x"),
        ("/x/../blob/s/x", "easytransfer \"\" /x/../blob/s/x"),
        ("/%62lob/s/x", "easytransfer \"\" /%62lob/s/x"),
        ("/blob%2Fs/x", "easytransfer \"\" /blob%2Fs/x"),
        ("/blob\\s", "easytransfer \"\" /blob\\s"),
        ("/cloud%2Fa", "easytransfer \"\" /cloud%2Fa"),
        ("/api//scratch", "easytransfer \"\" /api//scratch"),
        ("/api/./scratch", "easytransfer \"\" /api/./scratch"),
    ] {
        assert_eq!(found(&mounts, "127.0.0.1:8765", "files.test", path), expected, "{path}");
    }
}

#[test]
fn section_2_listener_then_host_then_prefix_then_root() {
    let mounts = mounts(
        "stream_upload: {listen: ['127.0.0.2:3000', '0.0.0.0:0'], prefix: /up}, pyblobserver: {hosts: ['Blob.test']}, \
         cloudbackend: {prefix: /cb, oss_endpoint: 'http://oss.test:1'}, secure_file_transfer: {prefix: /up-there/x}",
    );
    mounts.hear(&["127.0.0.2:3000".into(), "0.0.0.0:40001".into()]);
    let main = "127.0.0.1:8765";
    for (listener, host, path, expected) in [
        ("127.0.0.2:3000", "blob.test", "/blob/x", "stream_upload \"\" /blob/x"),
        ("127.0.0.7:40001", "any", "/up/x", "stream_upload \"\" /up/x"),
        ("127.0.0.3:3000", "any", "/", "easytransfer \"\" /"),
        ("127.0.0.2:0", "any", "/", "easytransfer \"\" /"),
        (main, "bLOB.test:99", "/tus", "pyblobserver \"\" /tus"),
        (main, "blob.test.", "/", "pyblobserver \"\" /"),
        (main, "blob.test.evil", "/tus", "easytransfer \"\" /tus"),
        (main, "cloud.oss.test:1", "/tus", "cloudbackend \"\" /tus bucket"),
        (main, "oss.test:1", "/tus", "easytransfer \"\" /tus"),
        (main, "x", "/up/api/scratch", "stream_upload \"/up\" /api/scratch"),
        (main, "x", "/up-there/x/auth", "secure_file_transfer \"/up-there/x\" /auth"),
        (main, "x", "/up-there", "easytransfer \"\" /up-there"),
        (main, "x", "/cb/cloud/key", "cloudbackend \"/cb\" /cloud/key"),
        (main, "x", "/cloud/key", "easytransfer \"\" /cloud/key"),
        (main, "x", "/user/login", "easytransfer \"\" /user/login"),
        ("", "", "/blob", "easytransfer \"\" /blob"),
    ] {
        assert_eq!(found(&mounts, listener, host, path), expected, "{listener} {host} {path}");
    }
}

#[test]
fn section_2_a_disabled_surface_owns_nothing() {
    let off = "enabled: false, hosts: [h], listen: ['127.0.0.1:3000']";
    let all = ["secure_file_transfer", "cloudbackend", "stream_upload", "pyblobserver"];
    let mounts = mounts(&all.map(|name| format!("{name}: {{{off}, prefix: /{name}}}")).join(", "));
    for path in ["/blob", "/sft", "/user", "/api/scratch", "/cloud", "/pyblobserver", "/cloudbackend"] {
        assert!(found(&mounts, "127.0.0.1:3000", "h", path).starts_with("easytransfer"), "{path}");
    }
}

#[test]
fn pyblobserver_at_the_root_owns_the_root_itself() {
    let mounts = mounts("cloudbackend: {enabled: false}, pyblobserver: {prefix: ''}");
    for (path, expected) in [
        ("/", "pyblobserver"),
        ("/s/x", "pyblobserver"),
        ("/upload", "pyblobserver"),
        ("/upload_tus/x", "pyblobserver"),
        ("/tus", "easytransfer"),
        ("//", "easytransfer"),
        ("/l/x", "easytransfer"),
    ] {
        assert!(found(&mounts, "", "h", path).starts_with(expected), "{path}");
    }
}

/// What a dialect owns at the root.
fn roots(surface: SurfaceId) -> Roots {
    static DEFAULTS: LazyLock<Config> = LazyLock::new(Config::defaults);
    DEFAULTS.surfaces.sections().find(|section| section.surface() == surface).map_or(&[], Section::roots)
}

/// The obvious slow version: what is mounted where, as segments.
fn model(prefixes: &[(SurfaceId, Vec<&str>)], path: &str) -> (SurfaceId, usize) {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let longest = prefixes.iter().filter(|(_, prefix)| !prefix.is_empty() && segments.starts_with(prefix));
    if let Some((surface, prefix)) = longest.max_by_key(|(_, prefix)| prefix.len()) {
        return (*surface, prefix.iter().map(|part| part.len() + 1).sum());
    }
    for (surface, _) in prefixes.iter().filter(|(_, prefix)| prefix.is_empty()) {
        let starts =
            roots(*surface).iter().copied().chain((*surface == SurfaceId::CloudBackend).then_some(&["cloud"][..]));
        for start in starts {
            if if start.is_empty() { path == "/" } else { segments.starts_with(start) } {
                return (*surface, 0);
            }
        }
    }
    (SurfaceId::EasyTransfer, 0)
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "", ".", "..", "%2e%2e", "a%2Fb", "a\\b", "blob", "sft", "up", "x", "api", "scratch", "files", "user", "cloud",
        "tus", "auth", "s", "Blob", "%62lob", "blob%2F", "up%00", "drop",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resolution_is_total_and_agrees_with_the_naive_model(
        parts in prop::collection::vec(part(), 1..6),
        stream in prop::sample::select(vec!["", "/up", "/x/y"]),
        blob in prop::sample::select(vec!["/blob", "/up%", "/x/blob"]),
        cloud in prop::sample::select(vec!["", "/x/cloud"]),
    ) {
        let blob = if blob.contains('%') { "/sft/blob" } else { blob };
        let sft = if blob.starts_with("/sft") { "/files" } else { "/sft" };
        let yaml = format!(
            "stream_upload: {{prefix: '{stream}'}}, pyblobserver: {{prefix: {blob}}}, cloudbackend: {{prefix: '{cloud}'}}, \
             secure_file_transfer: {{prefix: {sft}}}"
        );
        let mounts = mounts(&yaml);
        let segments = |prefix: &'static str| prefix.split('/').skip(1).collect::<Vec<_>>();
        let prefixes = [
            (SurfaceId::StreamUpload, segments(stream)),
            (SurfaceId::PyBlobServer, segments(blob)),
            (SurfaceId::CloudBackend, segments(cloud)),
            (SurfaceId::SecureFileTransfer, segments(sft)),
        ];
        let path = format!("/{}", parts.join("/"));
        let (surface, taken) = model(&prefixes, &path);
        let (mounted, rest) = mounts.resolve(None, None, &path);
        prop_assert_eq!(mounted.surface, surface, "{}", path);
        prop_assert_eq!(&mounted.prefix, &path[..taken]);
        let expected = if taken == path.len() { "/" } else { &path[taken..] };
        prop_assert_eq!(rest, expected, "what is left is what the client wrote");
    }
}
