//! The parts of a request that are pure enough to be timed alone. Figures of a whole request are et-bench's.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use etransfer_contract::{Grant, ObjectId, Span, SpanSet};
use etransfer_dataplane::testing::{GRANTS_REMEMBERED_MAX, GrantCache};
use etransfer_dataplane::testing::http::{Head, HeadLimits};
use etransfer_dataplane::store::{Store, StoreOptions, Want};

const PATCH: &[u8] = b"PATCH /tus/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1:8765\r\n\
    User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\
    Tus-Resumable: 1.0.0\r\nX-API-Token: 0123456789abcdef0123456789abcdef\r\nUpload-Offset: 4194304\r\n\
    Content-Type: application/offset+octet-stream\r\nContent-Length: 4194304\r\n\r\n";

fn head_parser(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let mut group = criterion.benchmark_group("head parser");
    group.throughput(Throughput::Bytes(PATCH.len() as u64));
    group.bench_function("PATCH", |bencher| {
        bencher.iter(|| Head::parse(black_box(PATCH), &limits).expect("it is a request"));
    });
    group.finish();
}

/// 4 KiB pieces of a file, every other one first: the set is at its widest in the middle.
fn range_set(criterion: &mut Criterion) {
    const PIECES: u64 = 1_000;
    let piece = |number: u64| Span::new(number * 4096, (number + 1) * 4096).expect("not empty");
    let order: Vec<Span> = (0..PIECES).step_by(2).chain((1..PIECES).step_by(2)).map(piece).collect();
    let mut group = criterion.benchmark_group("range set");
    group.throughput(Throughput::Elements(PIECES));
    group.bench_function("insert 1000 pieces out of order", |bencher| {
        bencher.iter(|| {
            let mut set = SpanSet::default();
            order.iter().for_each(|span| set.insert(*span));
            set.contiguous()
        });
    });
    group.finish();
}

/// What the store does per committed window, without data and without a sync: claim, record, publish.
fn journal(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = Store::open(StoreOptions::new(dir.path(), 1)).expect("an empty store");
    let journal = store.journal(0);
    let mut next = 0_u128;
    let mut object = || {
        next += 1;
        store.find_or_create(ObjectId::from_bytes(next.to_be_bytes()), Some(4096)).expect("a new object")
    };
    criterion.bench_function("journal: claim and commit 4 KiB of a new object", |bencher| {
        bencher.iter_batched(
            &mut object,
            |object| {
                let want = Want { offset: 0, body: Some(4096), parallel: false };
                let mut claim = object.claim(want).expect("no other writer has it");
                let span = Span::new(0, 4096).expect("not empty");
                claim.commit(journal, span, 0).expect("the journal takes it")
            },
            BatchSize::SmallInput,
        );
    });
}

fn grant(criterion: &mut Criterion) {
    let text = br#"{"version":1,"ticket":7,"epoch":1,"cache_ms":1000,"headers":[["Tus-Resumable","1.0.0"]],
        "act":{"forward":{"bytes_max":65536}}}"#;
    criterion.bench_function("grant: decode", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Grant>(black_box(text)).expect("it is a grant"));
    });
}

/// A full cache: what a request finds, what a new one costs while there is room, and once in a while when there is none.
fn grant_cache(criterion: &mut Criterion) {
    const LIFE: Duration = Duration::from_millis(1_000);
    let text =
        br#"{"version":1,"ticket":7,"epoch":1,"cache_ms":1000,"headers":[],"act":{"forward":{"bytes_max":65536}}}"#;
    let grant = Rc::new(serde_json::from_slice::<Grant>(text).expect("it is a grant"));
    let start = Instant::now();
    // As long as the keys of real requests are.
    let key_of = |number: usize| -> Box<[u8]> {
        let mut key = vec![b'x'; 256];
        key.extend_from_slice(&number.to_le_bytes());
        key.into_boxed_slice()
    };
    let full = || {
        let mut cache = GrantCache::default();
        (0..GRANTS_REMEMBERED_MAX).for_each(|number| cache.remember(key_of(number), &grant, start));
        cache
    };
    let mut group = criterion.benchmark_group("grant cache");
    let (mut cache, known, unknown) = (full(), key_of(7), key_of(GRANTS_REMEMBERED_MAX));
    group.bench_function("find, there", |bencher| bencher.iter(|| cache.find(black_box(&known), start, 1, true)));
    group.bench_function("find, absent", |bencher| bencher.iter(|| cache.find(black_box(&unknown), start, 1, true)));
    group.bench_function("find, expired", |bencher| {
        bencher.iter(|| cache.find(black_box(&known), start + LIFE, 1, true))
    });
    group.bench_function("remember into a full one, all expired", |bencher| {
        bencher.iter_batched_ref(
            || (full(), key_of(GRANTS_REMEMBERED_MAX)),
            |(cache, key)| cache.remember(std::mem::take(key), &grant, start + LIFE),
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(GRANTS_REMEMBERED_MAX as u64));
    group.bench_function("remember 4096", |bencher| {
        bencher.iter_batched(
            || (0..GRANTS_REMEMBERED_MAX).map(key_of).collect::<Vec<_>>(),
            |keys| {
                let mut cache = GrantCache::default();
                keys.into_iter().for_each(|key| cache.remember(key, &grant, start));
                cache
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(parts, head_parser, range_set, journal, grant, grant_cache);
criterion_main!(parts);
