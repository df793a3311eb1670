//! Clients of every dialect at the same time, on one port of one server. Each checks the bytes of its own files; then the
//! administrator sees what all of them left.

use super::setup;
use crate::clients::{id_in, python, source};
use crate::support::{Node, Oracle, TOKEN, oracle, wait};
use crate::{oss, pyblobserver, secure_file_transfer, stream_upload};

const CLIENTS: [fn(&Node); 9] = [
    easytransfer_library,
    et,
    secure_file_transfer::clients::python_device,
    oss::clients::python_sdk,
    oss::clients::javascript_sdk,
    stream_upload::clients::python_and_fetch,
    |node| pyblobserver::clients::requests(node, "requests"),
    |node| pyblobserver::clients::curl(node, "curl"),
    |node| pyblobserver::clients::tus_js(node, "tus"),
];

const LIBRARY_LENGTH: u64 = 3_000_001;
const ET_LENGTH: u64 = 9_000_001;

fn easytransfer_library(node: &Node) {
    python::library(node, TOKEN, Oracle(81), LIBRARY_LENGTH);
}

fn et(node: &Node) {
    source(node, "et.bin", Oracle(82), ET_LENGTH);
    let id = id_in(&wait::run(node.et(&["upload", "et.bin", "-j", "4"])).ok().stdout);
    wait::run(node.et(&["download", &id, "-o", "et.out"])).ok();
    oracle::check_file(&node.dir().join("et.out"), Oracle(82), ET_LENGTH);
}

#[test]
fn clients_of_five_dialects_share_one_port_and_one_list() {
    let node = &setup().start();
    std::thread::scope(|scope| {
        for client in CLIENTS {
            scope.spawn(move || client(node));
        }
    });
    let list = wait::run(node.et(&["list", "--all-surfaces", "--size", "100"])).ok().stdout;
    let mut listed: Vec<(String, String, u64)> = list.lines().map(row).collect();
    listed.sort();
    let (device, asset) = (secure_file_transfer::clients::LENGTH, stream_upload::clients::LENGTH);
    let (curl, tus) = (pyblobserver::clients::CURL_LENGTH, pyblobserver::clients::TUS_LENGTH);
    let mut left = [
        ("easytransfer", "et.bin", ET_LENGTH),
        ("easytransfer", "lib-3000001.bin", LIBRARY_LENGTH),
        ("secure_file_transfer", "declared.bin", device),
        ("secure_file_transfer", "in-order.bin", device),
        ("secure_file_transfer", "last-first.bin", device),
        ("cloudbackend", "out.bin", 3_000_001),
        ("cloudbackend", "stream", 1_000_003),
        ("stream_upload", "stream.bin", asset),
        ("stream_upload", "文件.bin", asset),
        ("pyblobserver", "naïve name.bin", curl),
        ("pyblobserver", "a.bin", tus),
        ("pyblobserver", "a.bin", tus),
        ("pyblobserver", "a.bin", tus),
    ]
    .map(|(surface, name, length)| (surface.to_owned(), name.to_owned(), length));
    left.sort();
    assert_eq!(listed, left, "{list}");
}

/// Surface, name and size of a line that `et list` writes for programs; it must be a complete file's.
#[track_caller]
fn row(line: &str) -> (String, String, u64) {
    let cells: Vec<&str> = line.split('\t').collect();
    let [_, size, "complete", _, _, surface, name] = cells[..] else { panic!("no complete file: {line:?}") };
    (surface.to_owned(), name.to_owned(), size.parse().expect(line))
}
