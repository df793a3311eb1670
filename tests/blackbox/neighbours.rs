//! faults.md C2 through a real neighbour: nginx buffers the answer, its client stops for longer than any sender may,
//! and gets the whole file. And the other side of it: a peer that is dead, not paused, is cut.

use std::process::{Child, Command, Stdio};

use crate::support::netns::NetNs;
use crate::support::{Conn, DEADLINE, Node, Oracle, Request, TOKEN, wait};

const BYTES: u64 = 24 << 20;

struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// In front of `node`; it buffers answers as it does by default, in memory alone.
    fn before(node: &Node) -> Self {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let dir = node.dir().join("nginx");
        std::fs::create_dir(&dir).expect("a directory");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path {}/{name};", dir.display())).join(" ");
        let text = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;\n\
             events {{ }}\n\
             http {{ access_log off; {temporary} send_timeout 600s; proxy_read_timeout 600s;\n\
             server {{ listen 127.0.0.1:{port}; location / {{\n\
             proxy_pass http://{node}; proxy_http_version 1.1; proxy_buffering on; proxy_max_temp_file_size 0; }} }} }}",
            dir = dir.display(),
            node = node.addr(),
        );
        std::fs::write(dir.join("nginx.conf"), text).expect("write the configuration");
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&dir)
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is not installed: apt-get install nginx-light");
        let nginx = Self { child, port };
        wait::until("nginx listens", || Conn::try_open(nginx.address()).ok());
        nginx
    }

    fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Senders are cut after a second of silence: several of them, one after the other.
fn windows_pass(node: &Node, windows: usize) {
    for _ in 0..windows {
        let upload = node.create(5);
        let mut silent = node.connect();
        silent.send_head(&crate::support::tus::patch_head(&upload, 0).header("Content-Length", "5"));
        silent.ends();
    }
}

#[test]
fn c2_a_paused_client_of_a_proxy_that_buffers_gets_the_whole_file() {
    let node = Node::setup().env("LIMITS_BODY_IDLE_TIMEOUT", "1").start();
    let content = Oracle(1).bytes(0..BYTES);
    let upload = node.complete(&content);
    let nginx = Nginx::before(&node);
    let mut client = Conn::open_narrow(nginx.address(), 64 << 10);
    client.send_request(&Request::get(&upload.download()).header("X-API-Token", TOKEN));
    let mut read = client.read_some(1 << 20);
    assert!(read.starts_with(b"HTTP/1.1 200"));
    let body = head_bytes(&read);
    for part in [8 << 20, content.len() + body] {
        windows_pass(&node, 4);
        read.extend(client.read_some(part.saturating_sub(read.len())));
    }
    assert!(read[body..] == content[..], "{} of {BYTES} bytes, or others", read.len() - body);
}

#[test]
fn c2_a_peer_that_is_gone_is_cut_and_one_that_is_paused_is_not() {
    let (server, gone, paused) = (NetNs::new(), NetNs::new(), NetNs::new());
    for (at, client) in [&gone, &paused].into_iter().enumerate() {
        server.cable(&format!("eth{at}"), &format!("10.79.{at}.1/24"), client, &format!("wire{at}"));
        client.address(&format!("wire{at}"), &format!("10.79.{at}.2/24"));
    }
    let node = server.inside(|| {
        let setup = Node::setup().wrapped(&server.wrapper()).hosts("0.0.0.0");
        setup.env("LIMITS_BODY_IDLE_TIMEOUT", "1").env("LIMITS_PEER_TIMEOUT", "2").start()
    });
    let content = Oracle(2).bytes(0..BYTES);
    let target = server.inside(|| node.complete(&content).download());
    let reading = |client: &NetNs, at: u8| {
        client.inside(|| {
            let mut conn = Conn::open_narrow(([10, 79, at, 1], node.addr().port()).into(), 64 << 10);
            conn.send_request(&Request::get(&target).header("X-API-Token", TOKEN));
            let read = conn.read_some(1 << 20);
            let left = content.len() - (read.len() - head_bytes(&read));
            (conn, left)
        })
    };
    let _lost = reading(&gone, 0);
    let (mut kept, mut left) = reading(&paused, 1);
    let open = |peer: &str| server.inside(|| connections(peer));
    assert_eq!((open("10.79.0.2"), open("10.79.1.2")), (1, 1));
    server.ip("link set eth0 down");
    wait::until("who is gone is cut", || (open("10.79.0.2") == 0).then_some(()));
    server.inside(|| windows_pass(&node, 4));
    assert_eq!(open("10.79.1.2"), 1, "who is paused is not");
    while left > 0 {
        let (some, ended) = kept.drain_some(DEADLINE);
        assert!(!ended, "cut with {left} bytes left");
        left -= some;
    }
    drop(kept);
    server.inside(|| drop(node));
}

fn head_bytes(answer: &[u8]) -> usize {
    answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4
}

/// Established connections with a peer, as the kernel of this namespace counts them.
fn connections(peer: &str) -> usize {
    let mut command = Command::new("ss");
    command.args(["-Htn", "state", "established", "dst", peer]);
    wait::run(command).ok().stdout.lines().count()
}
