//! The model of a connection is a sequence of bytes. Whatever mix of operations, limits and cancels is used on it, the
//! bytes come out exactly once and in order. Each seed is one run; a failing one is printed and fails again.

use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join;

use super::{Buf, Fd, FileHandle, Io, on_both, pair, pattern, within};

const LEN: usize = 3 << 20;

async fn buffer(io: &Io, random: &mut Rng) -> Buf {
    match random.bool() {
        true => io.take_slot().await,
        false => Buf::heap(random.usize(1..200_000)),
    }
}

fn range(random: &mut Rng, len: usize) -> std::ops::Range<usize> {
    let start = random.usize(..len);
    start..random.usize(start + 1..=len)
}

/// Mostly patient, sometimes not at all.
fn patience(random: &mut Rng) -> Duration {
    Duration::from_micros(match random.u8(..4) {
        0 => 0,
        1 => random.u64(..300),
        _ => 1_000_000,
    })
}

async fn receive(io: Io, socket: Fd, mut random: Rng) -> Vec<u8> {
    let mut arrived = Vec::new();
    loop {
        let limit = patience(&mut random);
        let got = match random.u8(..3) {
            0 => within(&io, limit, io.recv_some(&socket)).await.0.map(|chunk| {
                arrived.extend_from_slice(&chunk);
                chunk.len()
            }),
            kind => {
                let buf = buffer(&io, &mut random).await;
                let at = range(&mut random, buf.len());
                let receive = match kind {
                    1 => io.recv(&socket, buf, at.clone()),
                    _ => io.recv_all(&socket, buf, at.clone()),
                };
                let ((got, buf), _) = within(&io, limit, receive).await;
                got.inspect(|got| arrived.extend_from_slice(&buf[at][..*got]))
            }
        };
        match got {
            Ok(0) => return arrived,
            Ok(_) => {}
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
        }
    }
}

async fn send(io: Io, socket: Fd, file: FileHandle, content: Vec<u8>, mut random: Rng) {
    let mut sent = 0;
    while sent < content.len() {
        let limit = patience(&mut random);
        let result = match random.bool() {
            true => within(&io, limit, io.send_file(&socket, &file, sent as u64, random.usize(1..300_000))).await.0,
            false => {
                let mut buf = buffer(&io, &mut random).await;
                let mut at = range(&mut random, buf.len());
                at.end = at.end.min(at.start + content.len() - sent);
                buf[at.clone()].copy_from_slice(&content[sent..][..at.len()]);
                within(&io, limit, io.send(&socket, buf, at, random.bool())).await.0.0
            }
        };
        match result {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
        }
    }
}

#[test]
fn bytes_arrive_once_and_in_order_whatever_is_cancelled() {
    on_both(|io| async move {
        for seed in 0..4 {
            let mut random = Rng::with_seed(seed);
            let content = pattern(LEN);
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&content).expect("written");
            let file: FileHandle = Rc::new(file.into());
            let (socket, client) = pair(&io).await;
            // The other side answers every byte with itself, in fits and starts.
            let echo = io.off_core({
                let mut random = random.fork();
                move || {
                    let mut bytes = vec![0; 100_000];
                    loop {
                        let some = random.usize(1..bytes.len());
                        let count = match (&client).read(&mut bytes[..some]) {
                            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                            result => result.expect("the core is there"),
                        };
                        if count == 0 {
                            return;
                        }
                        (&client).write_all(&bytes[..count]).expect("the core is there");
                        if random.u8(..20) == 0 {
                            std::thread::park_timeout(Duration::from_micros(500));
                        }
                    }
                }
            });
            let receive = io.spawn(receive(io.clone(), Rc::clone(&socket), random.fork()));
            let sent = async {
                send(io.clone(), Rc::clone(&socket), file, content.clone(), random).await;
                rustix::net::shutdown(&*socket, rustix::net::Shutdown::Write).expect("connected");
            };
            let ((), ()) = join(sent, echo).await;
            let arrived = receive.await;
            assert_eq!(arrived.len(), content.len(), "seed {seed}");
            assert!(arrived == content, "seed {seed}");
            assert_eq!(io.slots_free(), 8, "seed {seed}");
        }
    });
}
