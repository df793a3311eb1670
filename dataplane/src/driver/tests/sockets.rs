//! Sockets: short and long transfers, ends, cancels, dropped futures, descriptors.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;

use super::{Buf, Fd, FileHandle, Io, listener, on, on_both, pair, pattern, within};
use crate::config::EngineChoice;
use crate::driver::provided::PROVIDED_COUNT;

async fn echo(io: Io, socket: Fd) {
    let mut buf = Buf::heap(64 << 10);
    loop {
        let (got, filled) = io.recv(&socket, buf, 0..64 << 10).await;
        let got = got.expect("the client is there");
        if got == 0 {
            return;
        }
        let (sent, back) = io.send(&socket, filled, 0..got, false).await;
        assert_eq!(sent.expect("the client is there"), got);
        buf = back;
    }
}

#[test]
fn echo_of_short_and_long_bodies_is_exact() {
    on_both(|io| async move {
        for len in [1, 100, 8 << 10, 300_000, 5 << 20] {
            let (socket, client) = pair(&io).await;
            let sent = pattern(len);
            let expected = sent.clone();
            let mut writer = client.try_clone().expect("a descriptor");
            let write = std::thread::spawn(move || writer.write_all(&sent));
            let read = io.off_core(move || {
                let mut back = vec![0; len];
                (&client).read_exact(&mut back).map(|()| {
                    let _ended = client.shutdown(Shutdown::Both);
                    back
                })
            });
            let echo = io.spawn(echo(io.clone(), socket));
            assert!(read.await.expect("an echo") == expected, "{len} bytes differ");
            echo.await;
            write.join().expect("the writer").expect("written");
        }
    });
}

#[test]
fn recv_some_brings_what_came_and_then_the_end() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        let waiting = io.recv_some(&socket);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
        let chunk = waiting.await.expect("bytes");
        assert_eq!(&chunk[..], b"GET / HTTP/1.1\r\n\r\n");
        drop(chunk);
        client.shutdown(Shutdown::Write).expect("ended");
        assert!(io.recv_some(&socket).await.expect("the end").is_empty());
    });
}

#[test]
fn receives_without_a_provided_buffer_go_on_when_one_returns() {
    on(EngineChoice::Ring, 0, |io| async move {
        let (socket, mut client) = pair(&io).await;
        let mut held = Vec::new();
        for _ in 0..PROVIDED_COUNT {
            client.write_all(b"a").expect("written");
            held.push(io.recv_some(&socket).await.expect("a byte"));
        }
        client.write_all(b"z").expect("written");
        let mut starved = io.recv_some(&socket);
        for _ in 0..3 {
            io.sleep(Duration::from_millis(1)).await;
            assert!(Pin::new(&mut starved).now_or_never().is_none(), "all buffers are lent");
        }
        held.pop();
        let chunk = starved.await.expect("the byte");
        assert_eq!(&chunk[..], b"z");
        // One that is cancelled while it starves loses nothing.
        client.write_all(b"y").expect("written");
        let (starved, late) = within(&io, Duration::from_millis(5), io.recv_some(&socket)).await;
        assert!(late && starved.is_err());
        drop((chunk, held));
        assert_eq!(&io.recv_some(&socket).await.expect("the byte")[..], b"y");
    });
}

#[test]
fn recv_all_reports_what_came_before_the_end() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        client.write_all(&pattern(1000)).expect("written");
        let receive = io.recv_all(&socket, Buf::heap(4096), 96..4096);
        client.shutdown(Shutdown::Write).expect("ended");
        let (got, buf) = receive.await;
        assert_eq!(got.expect("a part"), 1000);
        assert!(buf[96..1096] == pattern(1000));
        let (got, _) = io.recv_all(&socket, buf, 0..10).await;
        assert_eq!(got.expect("the end"), 0);
    });
}

#[test]
fn recv_all_keeps_its_count_when_cancelled() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        client.write_all(&pattern(777)).expect("written");
        let receive = io.recv_all(&socket, Buf::heap(1 << 20), 0..1 << 20);
        let ((got, buf), late) = within(&io, Duration::from_millis(30), receive).await;
        assert!(late);
        assert_eq!(got.expect("a part"), 777);
        assert!(buf[..777] == pattern(777));
        // And the stream goes on behind it.
        client.write_all(b"next").expect("written");
        let (got, buf) = io.recv_all(&socket, buf, 0..4).await;
        assert_eq!((got.expect("four bytes"), &buf[..4]), (4, &b"next"[..]));
    });
}

#[test]
fn cancelled_receive_without_bytes_says_so() {
    on_both(|io| async move {
        let (socket, _client) = pair(&io).await;
        let mut receive = io.recv_all(&socket, Buf::heap(16), 0..16);
        receive.cancel();
        let (got, buf) = receive.await;
        assert_eq!(got.expect_err("nothing came").raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(buf.len(), 16);
    });
}

#[test]
fn dropped_receive_gives_its_slot_back_only_after_its_end() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        let all = io.slots_free();
        let slot = io.take_slot().await;
        let len = slot.len();
        let mut receive = io.recv_all(&socket, slot, 0..len);
        assert!(Pin::new(&mut receive).now_or_never().is_none());
        drop(receive);
        assert_eq!(io.slots_free(), all - 1, "the kernel may still write to it");
        let again = io.take_slot().await;
        let mut spare: Vec<_> = std::iter::from_fn(|| io.try_slot()).collect();
        spare.push(again);
        let last = io.take_slot().await; // the orphan's, after its completion
        assert_eq!(spare.len() + 1, all);
        client.write_all(&pattern(4096)).expect("written");
        assert!(last.iter().all(|byte| *byte == 0), "a slot that was given back is not written to");
        // The bytes are still in the socket for the next receive.
        let (got, last) = io.recv_all(&socket, last, 0..4096).await;
        assert_eq!(got.expect("bytes"), 4096);
        assert!(last[..4096] == pattern(4096));
    });
}

#[test]
fn cancelled_send_reports_what_left() {
    on_both(|io| async move {
        let (socket, client) = pair(&io).await;
        let body = Buf::from(pattern(32 << 20));
        let send = io.send(&socket, body, 0..32 << 20, false);
        let ((sent, body), late) = within(&io, Duration::from_millis(50), send).await;
        assert!(late);
        let sent = sent.expect("the socket's buffers took some");
        assert!(0 < sent && sent < body.len());
        drop(socket);
        let arrived = io.off_core(move || {
            let mut arrived = Vec::new();
            (&client).read_to_end(&mut arrived).map(|_| arrived)
        });
        assert!(arrived.await.expect("an orderly end")[..] == body[..sent]);
    });
}

#[test]
fn send_to_a_gone_peer_is_an_error() {
    on_both(|io| async move {
        let (socket, client) = pair(&io).await;
        drop(client);
        let mut buf = Buf::heap(64 << 10);
        loop {
            let (sent, back) = io.send(&socket, buf, 0..64 << 10, false).await;
            buf = back;
            if let Err(error) = sent {
                assert!(matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)), "{error}");
                return;
            }
        }
    });
}

#[test]
fn send_file_waits_for_room_and_names_the_end() {
    on_both(|io| async move {
        let content = pattern(3 << 20);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("written");
        let file: FileHandle = Rc::new(file.into());
        let (socket, client) = pair(&io).await;
        let reader = io.off_core(move || {
            let mut arrived = Vec::new();
            (&client).read_to_end(&mut arrived).map(|_| arrived)
        });
        let mut pos = 0;
        loop {
            let sent = io.send_file(&socket, &file, pos, 1 << 20).await.expect("sent");
            pos += sent as u64;
            if sent == 0 {
                break;
            }
        }
        assert_eq!(pos, content.len() as u64);
        drop(socket);
        assert!(reader.await.expect("read") == content);
    });
}

#[test]
fn readiness_of_sockets_and_files() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        io.writable(&socket).await.expect("room");
        let readable = io.readable(&socket);
        client.write_all(b"x").expect("written");
        readable.await.expect("bytes");
        let (_, late) = within(&io, Duration::from_secs(5), io.readable(&socket)).await;
        assert!(!late, "still readable");
        let file: Fd = Rc::new(OwnedFd::from(tempfile::tempfile().expect("a file")));
        io.readable(&file).await.expect("files are always ready");
    });
}

#[test]
fn unix_sockets_connect_or_say_why_not() {
    on_both(|io| async move {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("line");
        assert_eq!(io.connect_unix(&path).await.expect_err("no listener").kind(), std::io::ErrorKind::NotFound);
        let server = UnixListener::bind(&path).expect("bound");
        let client = io.connect_unix(&path).await.expect("connected");
        let server: Fd = Rc::new(OwnedFd::from(server));
        let (accepted, peer) = io.accept(&server).await.expect("accepted");
        assert!(peer.ip().is_unspecified());
        let (sent, _) = io.send(&client, Buf::from(b"hello".to_vec()), 0..5, false).await;
        assert_eq!(sent.expect("sent"), 5);
        let chunk = io.recv_some(&Rc::new(accepted)).await.expect("received");
        assert_eq!(&chunk[..], b"hello");
        let long = std::path::PathBuf::from("/".repeat(200));
        assert_eq!(io.connect_unix(&long).await.expect_err("too long").raw_os_error(), Some(libc::ENAMETOOLONG));
    });
}

#[test]
fn a_full_unix_listener_is_waited_for() {
    on_both(|io| async move {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("line");
        let server = super::unix_listener(&path, 1);
        let mut waiting: Vec<_> = (0..6).map(|_| io.spawn(io.connect_unix(&path))).collect();
        let mut accepted = Vec::new();
        for _ in 0..6 {
            accepted.push(io.accept(&server).await.expect("accepted"));
        }
        for connect in waiting.drain(..) {
            connect.await.expect("connected");
        }
    });
}

#[test]
fn no_descriptor_is_lost_in_a_thousand_rounds() {
    on_both(|io| async move {
        let (server, address) = listener();
        let mut before = 0;
        for round in 0..1000 {
            let mut accept = io.accept(&server);
            let client = TcpStream::connect(address).expect("connected");
            match round % 3 {
                // Awaited, used, dropped.
                0 => {
                    let (socket, _) = accept.await.expect("accepted");
                    let socket: Fd = Rc::new(socket);
                    drop(io.recv_some(&socket));
                }
                // Dropped while its connection is arriving: closed, not leaked.
                1 => drop(accept),
                // Cancelled: either it came or it did not.
                _ => {
                    accept.cancel();
                    drop(accept.await);
                }
            }
            drop(client);
            // What a cancelled accept left in the queue.
            let (left, _) = within(&io, Duration::ZERO, io.accept(&server)).await;
            drop(left);
            if round == 50 {
                before = super::descriptors_settled(&io).await;
            }
        }
        let after = super::descriptors_settled(&io).await;
        // Other tests of this process come and go; a leak here would be hundreds.
        assert!(after <= before + 100, "{before} descriptors before, {after} after");
    });
}

#[test]
fn more_operations_than_any_queue_holds() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        // All end at once: the completion queue (4096) overflows, the submission queue (512) has been full many times.
        let polls: Vec<_> = (0..6000).map(|_| io.writable(&socket)).collect();
        for poll in polls {
            poll.await.expect("room");
        }
        // None ends: dropped, cancelled, and one byte for all the others.
        let mut polls: Vec<_> = (0..6000).map(|_| io.readable(&socket)).collect();
        polls.truncate(4000);
        polls.iter_mut().take(1000).for_each(super::Pending::cancel);
        io.yield_now().await;
        client.write_all(b"x").expect("written");
        for (number, poll) in polls.into_iter().enumerate() {
            match poll.await {
                Ok(()) => {}
                Err(error) => assert!(number < 1000 && error.raw_os_error() == Some(libc::ECANCELED), "{error}"),
            }
        }
        super::descriptors_settled(&io).await;
        assert_eq!(&io.recv_some(&socket).await.expect("the byte")[..], b"x");
    });
}

/// More connections than there are provided buffers, and each has its next byte there before it asks for it.
#[test]
fn nobody_starves_in_a_crowd_that_never_rests() {
    const CONNECTIONS: usize = 3 * PROVIDED_COUNT as usize;
    const TURNS_EACH: usize = 50;
    on_both(|io| async move {
        let mut pairs = Vec::new();
        for _connection in 0..CONNECTIONS {
            pairs.push(pair(&io).await);
        }
        let turns = Rc::new(RefCell::new([0; CONNECTIONS]));
        let is_over =
            |turns: &RefCell<[usize; CONNECTIONS]>| turns.borrow().iter().sum::<usize>() >= CONNECTIONS * TURNS_EACH;
        let serve = |(connection, (socket, mut client)): (usize, (Fd, TcpStream))| {
            let (io, turns) = (io.clone(), Rc::clone(&turns));
            async move {
                while !is_over(&turns) {
                    client.write_all(b"x").expect("written");
                    io.recv_some(&socket).await.expect("the client is there");
                    turns.borrow_mut()[connection] += 1;
                }
            }
        };
        futures_util::future::join_all(pairs.into_iter().enumerate().map(serve).map(|served| io.spawn(served))).await;
        let least = *turns.borrow().iter().min().expect("connections");
        assert!(least >= TURNS_EACH / 2, "{}: one socket had {least} turns of {TURNS_EACH}", io.engine());
    });
}
