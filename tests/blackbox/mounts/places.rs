//! By listener, by `Host`, by prefix, by first segment; and everything else is EasyTransfer's.

use serde_json::json;

use super::{ask, own_listener};
use crate::support::tus::patch;
use crate::support::{Conn, Node, Request, TOKEN, wait};

#[track_caller]
fn who(node: &Node, target: &str) -> String {
    ask(node, node.addr(), &Request::get(target)).0
}

#[test]
fn section_2_all_five_share_one_port() {
    let node = Node::start();
    for (target, surface) in [
        ("/", "easytransfer"),
        ("/api/info", "easytransfer"),
        ("/s/x", "easytransfer"),
        ("/api/scratch/x", "stream_upload"),
        ("/user/x/", "cloudbackend"),
        ("/drop/", "cloudbackend"),
        ("/cloud/key", "cloudbackend"),
        ("/blob", "pyblobserver"),
        ("/blob/s/x", "pyblobserver"),
        ("/blob/../api/info", "pyblobserver"),
        ("/blob/%2e%2e/api/info", "pyblobserver"),
        ("/blob//api/info", "pyblobserver"),
        ("/blob%2Fs/x", "easytransfer"),
        ("//blob/s/x", "easytransfer"),
        ("/blobs", "easytransfer"),
        ("/sft/api/files/", "secure_file_transfer"),
    ] {
        assert_eq!(who(&node, target), surface, "{target}");
    }
}

#[test]
fn a_surface_refuses_in_its_own_shape() {
    let node = Node::start();
    let (target, surface) = ("/user/x", "cloudbackend");
    let (who, reply) = ask(&node, node.addr(), &Request::get(target));
    assert_eq!((who.as_str(), reply.is(404).json()), (surface, json!({"detail": "Not found."})), "{target}");
    let (who, reply) = ask(&node, node.addr(), &Request::new("HEAD", target));
    assert_eq!((who.as_str(), reply.status, reply.body.len()), (surface, 404, 0), "a HEAD has no body");
    let post = Request::new("POST", target).body("small");
    assert_eq!(ask(&node, node.addr(), &post).0, surface);
}

#[test]
fn section_2_a_surface_with_a_listener_of_its_own_has_all_of_it_and_leaves_the_main_one() {
    let yaml =
        "surfaces: {stream_upload: {listen: ['127.0.0.1:0']}, pyblobserver: {listen: ['0.0.0.0:0'], prefix: /blob}}";
    for setup in [Node::setup(), Node::setup().two_processes()] {
        let node = setup.config(yaml).start();
        let (stream, mut blob) = (own_listener(&node, "stream_upload"), own_listener(&node, "pyblobserver"));
        assert!(stream.port() != 0 && stream.port() != node.addr().port() && stream.port() != blob.port());
        blob.set_ip([127, 0, 0, 3].into());
        for (address, target, surface) in [
            (stream, "/api/scratch/x", "stream_upload"),
            (stream, "/api/info", "stream_upload"),
            (stream, "/blob/x", "stream_upload"),
            (blob, "/", "pyblobserver"),
            (blob, "/tus", "pyblobserver"),
            (node.addr(), "/blob/x", "pyblobserver"),
            (node.addr(), "/api/scratch/x", "easytransfer"),
        ] {
            assert_eq!(ask(&node, address, &Request::get(target)).0, surface, "{address} {target}");
        }
        // Only the main address is for those who look for the node.
        let endpoints = node.get("/api/endpoints").is(200).json().to_string();
        assert!(!endpoints.contains(&stream.port().to_string()), "{endpoints}");
    }
}

#[test]
fn what_is_granted_on_one_listener_is_asked_again_on_another() {
    let node = Node::setup().config("surfaces: {pyblobserver: {listen: ['127.0.0.1:0']}}").start();
    let blob = own_listener(&node, "pyblobserver");
    let upload = node.create(100_000);
    let host = node.addr().to_string();
    for round in 0..8 {
        node.patch(&upload, round * 4096, &[7; 4096]).is(204);
        // Every core has the grant for this target, host and token by now, or gets it in a later round.
        let request = patch(&upload, (round + 1) * 4096, &[8; 4096]).header("X-API-Token", TOKEN).header("Host", &host);
        let reply = Conn::open(blob).try_ask(&request).expect("an answer");
        assert!(reply.status >= 400, "the grant of another surface: {reply:?}");
    }
    assert_eq!(node.offset(&upload), 8 * 4096);
}

#[test]
fn section_2_a_name_in_host_belongs_to_one_surface() {
    let yaml = "surfaces: {secure_file_transfer: {hosts: [sft.test]}, pyblobserver: {hosts: [b.test, '[::1]'], prefix: /blob}, \
                cloudbackend: {oss_endpoint: 'https://oss.test', prefix: /cb}}";
    let node = Node::setup().config(yaml).start();
    for (host, target, surface) in [
        ("sft.test", "/api/files", "secure_file_transfer"),
        ("SFT.Test:1234", "/tus", "secure_file_transfer"),
        ("b.test", "/api/info", "pyblobserver"),
        ("[::1]:80", "/", "pyblobserver"),
        ("other.test", "/blob/x", "pyblobserver"),
        ("cloud.oss.test", "/api/info", "cloudbackend"),
        ("oss.test", "/api/info", "easytransfer"),
        ("other.test", "/sft/api/files", "easytransfer"),
        ("other.test", "/cb/cloud/x", "cloudbackend"),
        ("other.test", "/user/x", "easytransfer"),
    ] {
        let request = Request::get(target).header("Host", host);
        assert_eq!(ask(&node, node.addr(), &request).0, surface, "{host} {target}");
    }
    // The same name in an absolute target.
    assert_eq!(
        ask(&node, node.addr(), &Request::get("http://b.test/api/info").header("Host", "b.test")).0,
        "pyblobserver"
    );
}

#[test]
fn section_2_prefixes_move_and_the_root_can_be_given_away() {
    let yaml = "surfaces: {cloudbackend: {prefix: null}, pyblobserver: {prefix: ''}, stream_upload: {prefix: /up}, \
                secure_file_transfer: {prefix: /up-to/date}}";
    let node = Node::setup().config(yaml).start();
    for (target, surface) in [
        ("/", "pyblobserver"),
        ("/s/x", "pyblobserver"),
        ("/user/x", "pyblobserver"),
        ("/tus", "easytransfer"),
        ("/blob/s/x", "easytransfer"),
        ("/cloud/x", "easytransfer"),
        ("/up/api/scratch/x", "stream_upload"),
        ("/up?x=y", "stream_upload"),
        ("/api/scratch/x", "easytransfer"),
        ("/up-to/date/auth", "secure_file_transfer"),
        ("/up-to", "easytransfer"),
    ] {
        assert_eq!(who(&node, target), surface, "{target}");
    }
}

#[test]
fn section_2_paths_of_a_disabled_surface_are_404_of_the_main_one() {
    let all = ["secure_file_transfer", "cloudbackend", "stream_upload", "pyblobserver"];
    let off = all.map(|name| format!("{name}: {{enabled: false, listen: ['127.0.0.1:0'], prefix: bad/}}")).join(", ");
    let node = Node::setup().config(&format!("surfaces: {{{off}}}")).start();
    assert_eq!(node.said().iter().filter(|line| line.starts_with("listening")).count(), 1, "{:?}", node.said());
    let nothing = node.get("/no/such/path").is(404);
    for target in ["/blob/s/x", "/sft/auth/token", "/user/x", "/cloud/x", "/api/scratch/x"] {
        let (who, reply) = ask(&node, node.addr(), &Request::get(target).header("X-API-Token", TOKEN));
        assert_eq!((who.as_str(), &reply.is(404).body), ("easytransfer", &nothing.body), "{target}");
    }
}

#[test]
fn section_2_a_listener_that_is_taken_stops_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let yaml = format!("surfaces: {{stream_upload: {{listen: ['{address}']}}}}");
    let Err(said) = Node::setup().config(&yaml).try_start() else { panic!("two listeners on {address}") };
    assert!(said.contains(&address), "{said}");
}

#[test]
fn section_1_a_watched_file_moves_no_surface() {
    let node = Node::setup().config("surfaces: {pyblobserver: {expire_days: 1}}").start();
    std::fs::write(node.config_path(), "surfaces: {pyblobserver: {expire_days: 2, prefix: /moved}}").expect("write");
    let reload = Request::new("POST", "/api/admin/reload-config").header("X-API-Token", TOKEN);
    let answer = node.send(&reload).is(200).json();
    let expected = json!({"surfaces.pyblobserver.expire_days": {"old": "1", "new": "2"}});
    assert_eq!(answer["changes"], expected, "where a surface is, is cold");
    wait::until("it is still there", || (who(&node, "/blob/x") == "pyblobserver").then_some(()));
    assert_eq!(who(&node, "/moved/x"), "easytransfer");
}
