//! What parallel uploads and busy clients may not do (cases 19 and 20).

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{OTHER, Part, USER, User, blob_env, both, form, open, setup};
use crate::support::raw::Request;

#[test]
fn case_19_parallel_uploads_never_pass_the_total() {
    const BYTES: usize = 20_000;
    let node = setup().start();
    let user = User::first(&node, USER);
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..20 {
            let (user, taken) = (&user, &taken);
            scope.spawn(move || {
                let chunk = if client % 4 == 0 { Some(3_000) } else { None };
                for _ in 0..10 {
                    let mut request = form("/upload", &[Part::file("file", "t", &[7; BYTES])]);
                    request.chunk = chunk;
                    if user.send(request).one_of(&[200, 403]).status == 200 {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let taken = taken.into_inner();
    assert!(taken * BYTES <= 2 << 20, "{taken} files");
    assert!(taken >= 90, "room that was there was refused: {taken} of 104 files");
    assert_eq!((user.list().len(), user.total(USER)), (taken, (taken * BYTES) as u64));
}

#[test]
fn case_20_too_many_requests() {
    let node = blob_env(setup(), &[("REQUESTS_PER_MINUTE", "100")]).start();
    let user = User::first(&node, USER);
    let id = user.uploaded("t.txt", b"hello");
    let replies: Vec<_> = (0..150).map(|_| user.send(Request::get("/list"))).collect();
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 98, "two requests came before");
    let refused = replies.last().expect("150 replies");
    assert_eq!((refused.status, both(refused).as_str()), (429, "Too many requests"));
    assert!((1..=61).contains(&refused.number("Retry-After")));
    for _ in 0..150 {
        open(&node, Request::get(&format!("/s/{id}"))).is(200);
        open(&node, Request::new("HEAD", &format!("/s/{id}"))).is(200);
        open(&node, Request::get("/health")).is(200);
    }
    open(&node, Request::get("/nope")).is(429);
}

#[test]
fn section_2_4_wrong_tokens_count_five_fold_and_steps_do_not_count() {
    let node = blob_env(setup(), &[("REQUESTS_PER_MINUTE", "30")]).start();
    let user = User::first(&node, OTHER);
    // Nine requests, each of several steps: ten of thirty.
    (0..9).for_each(|_| drop(user.uploaded("t", b"hello")));
    for _ in 0..4 {
        open(&node, Request::get("/list").header("Authorization", "Bearer wrong")).is(401);
    }
    user.send(Request::get("/list")).is(429);
}
