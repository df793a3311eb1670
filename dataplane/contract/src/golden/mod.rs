//! Every message between the planes as it is on the control link, byte for byte, and back.
//!
//! A message has one entry in which everything is said and one in which everything that may be absent is; `older` ones are
//! what a peer sends that does not know the newer fields.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etransfer_tests::examples;
use etransfer_tests::golden::Golden;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::counters::{self, AddressBytes, CoreCounters, CountersReport, Histogram, Requests};
use crate::fact::{Claim, Fact, FactBatch, Presence, Reach, Verdict};
use crate::grant::{Act, Append, Concat, Grant, Holder, PrefetchedGrant, Rate, Recheck, Remove, Serve, State};
use crate::order::{self, NodeFacts, OpenTransfers, Order, Orders, OrdersQuery};
use crate::step::{
    Close, CloseCode, Compose, Digest, DigestStored, Failure, Form, FormFields, FormFieldsReport, Message, Outcome,
    Part, Piece, Receive, Seal, Step, StepReport, WebSocketStep, What,
};
use crate::{ObjectId, Span, link};

const OBJECT: ObjectId =
    ObjectId::from_bytes([0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255]);
const OTHER: ObjectId = ObjectId::from_bytes([0xa0; 16]);
const TIME: u64 = 1_700_000_000_123;
/// A sentence that JSON has to escape, and letters outside ASCII.
const TEXT: &str = "naïve \"name\"\\\n文.txt";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(name)
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).unwrap()
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Compares the messages with the golden file, and reads them back from it.
#[track_caller]
fn check<T>(file: &str, about: &str, all: &[(&str, T)])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut golden = Golden::new(path(file), about);
    all.iter().for_each(|(name, value)| golden.text(name, &serde_json::to_string(value).unwrap()));
    for (entry, (name, value)) in golden.check().iter().zip(all) {
        assert_eq!(serde_json::from_str::<T>(entry.line()).unwrap(), *value, "{name}");
    }
}

/// Reads what an older peer writes.
#[track_caller]
fn check_older<T: DeserializeOwned + PartialEq + Debug>(json: &str, expected: &T) {
    assert_eq!(serde_json::from_str::<T>(json).unwrap(), *expected);
}

fn rate() -> Rate {
    Rate { key: "up:7".into(), bytes_per_s: 1024 }
}

fn grant(act: Act) -> Grant {
    Grant { version: link::VERSION, ticket: 1, epoch: 2, cache_ms: 0, headers: Vec::new(), holder: None, act }
}

fn append() -> Append {
    Append {
        object: OBJECT,
        length: Some(100),
        length_max: Some(200),
        parallel: true,
        budget: Some(50),
        expires_after_s: Some(86_400),
        expires_unix_ms: Some(TIME),
        completed: fields(&[("X-Complete", "1")]),
        created: Some(fields(&[("Location", "/tus/files/1")])),
        rate: Some(rate()),
    }
}

fn bare_append() -> Append {
    Append {
        object: OBJECT,
        length: None,
        length_max: None,
        parallel: false,
        budget: None,
        expires_after_s: None,
        expires_unix_ms: None,
        completed: Vec::new(),
        created: None,
        rate: None,
    }
}

fn state() -> State {
    State {
        object: OBJECT,
        length: Some(100),
        expires_after_s: Some(86_400),
        expires_unix_ms: Some(TIME),
        created_unix_ms: TIME,
        fields: fields(&[("Upload-Metadata", "filename YQ==")]),
    }
}

fn serve() -> Serve {
    Serve {
        object: OBJECT,
        length: Some(100),
        complete: true,
        etag: "\"ab\"".into(),
        modified_ms: Some(TIME),
        judged: true,
        fields: fields(&[("Content-Disposition", TEXT)]),
        chunk: Some(span(10, 20)),
        consumed: vec![span(0, 10), span(30, 40)],
        receiver: "r".into(),
        hold_last: true,
        exclusive: true,
        report: true,
        counted: Some(3),
        rate: Some(rate()),
    }
}

fn bare_serve() -> Serve {
    Serve {
        object: OBJECT,
        length: None,
        complete: false,
        etag: String::new(),
        modified_ms: None,
        judged: false,
        fields: Vec::new(),
        chunk: None,
        consumed: Vec::new(),
        receiver: String::new(),
        hold_last: false,
        exclusive: false,
        report: false,
        counted: None,
        rate: None,
    }
}

#[test]
fn grants() {
    let acts = examples!(Act:
        Act::Append(_) => { "append": Act::Append(append()), "append, nothing said": Act::Append(bare_append()) },
        Act::State(_) => {
            "state": Act::State(state()),
            "state, nothing said": Act::State(State {
                object: OBJECT,
                length: None,
                expires_after_s: None,
                expires_unix_ms: None,
                created_unix_ms: 0,
                fields: Vec::new(),
            }),
        },
        Act::Serve(_) => { "serve": Act::Serve(serve()), "serve, nothing said": Act::Serve(bare_serve()) },
        Act::Remove(_) => {
            "remove": Act::Remove(Remove {
                object: OBJECT,
                status: 204,
                fields: fields(&[("Tus-Resumable", "1.0.0")]),
                body: TEXT.into(),
            }),
        },
        Act::Concat(_) => {
            "concat": Act::Concat(Concat {
                object: OBJECT,
                parts: vec![(OTHER, 5), (OTHER, 5)],
                status: 201,
                fields: fields(&[("Location", "/tus/files/1")]),
            }),
        },
        Act::Forward { .. } => { "forward": Act::Forward { bytes_max: 1 << 20 } },
        Act::Step(_) => {
            "step": Act::Step(Step { continuation: "memo".into(), what: What::FormFields(FormFields::default()) }),
        },
    );
    let mut all: Vec<_> = acts.into_iter().map(|(name, act)| (name, grant(act))).collect();
    let holder = Some(Holder { key: "user:7".into(), at_once: 4 });
    let headers = fields(&[("Tus-Resumable", "1.0.0"), ("Vary", "Origin")]);
    let act = Act::Forward { bytes_max: 1 };
    all.push(("with fields, a holder and a time to live", Grant { cache_ms: 5000, headers, holder, ..grant(act) }));
    check("grant.txt", "Grants: what the control plane permits. JSON, one line each.", &all);
    let older = r#"{"version":2,"ticket":1,"epoch":2,"cache_ms":0,"act":{"serve":{"object":"00112233445566778899aabbccddeeff",
        "length":null,"complete":false,"etag":"","fields":[],"chunk":null,"receiver":"","hold_last":false,"report":false}}}"#;
    check_older(older, &grant(Act::Serve(bare_serve())));
}

#[test]
fn answers_beside_grants() {
    check(
        "ahead.txt",
        "The grant for what a client asks next: the field Etransfer-Next.",
        &[(
            "ahead",
            PrefetchedGrant {
                method: "PATCH".into(),
                target: "/tus/files/1".into(),
                grant: grant(Act::State(state())),
            },
        )],
    );
    let all = [
        ("go on", Recheck { go: true, rate: Some(rate()), full: false }),
        ("the right ended", Recheck { go: false, rate: None, full: false }),
        ("no room", Recheck { go: false, rate: None, full: true }),
    ];
    check("recheck.txt", "Answers to a recheck.", &all);
    check_older(r#"{"go":true,"rate":null}"#, &Recheck { go: true, rate: None, full: false });
}

fn digests() -> Vec<(&'static str, Digest)> {
    examples!(Digest:
        Digest::Md5 => { "md5": Digest::Md5 },
        Digest::Sha1 => { "sha1": Digest::Sha1 },
        Digest::Sha256 => { "sha256": Digest::Sha256 },
        Digest::Crc64 => { "crc64": Digest::Crc64 },
        Digest::Sum8 => { "sum8": Digest::Sum8 },
    )
}

#[test]
fn steps() {
    let digests: Vec<Digest> = digests().into_iter().map(|(_, digest)| digest).collect();
    let expect: Vec<_> = digests.iter().map(|digest| (*digest, "00ff".to_owned())).collect();
    let pieces = examples!(Piece:
        Piece::Of(..) => { "of": Piece::Of(OTHER, span(3, 9)) },
        Piece::Zeros(_) => { "zeros": Piece::Zeros(7) },
    );
    let pieces = pieces.into_iter().map(|(_, piece)| piece).collect();
    let form = Form {
        boundary: "b".into(),
        content_names: vec!["file".into()],
        or_plain: true,
        field_bytes_max: 1024,
        fields_bytes_max: 4096,
    };
    let bare_receive = Receive {
        object: OBJECT,
        at: 0,
        is_whole: true,
        sync: false,
        exact: None,
        min: 0,
        max: 10,
        digests: Vec::new(),
        expect: Vec::new(),
        budget: 10,
        rate: None,
    };
    let receive = Receive {
        at: 5,
        is_whole: false,
        sync: true,
        exact: Some(3),
        min: 1,
        digests: digests.clone(),
        expect,
        rate: Some(rate()),
        ..bare_receive.clone()
    };
    let whats = examples!(What:
        What::FormFields(_) => {
            "preface of a form": What::FormFields(FormFields { form: Some(form), prefix_bytes: 17 }),
            "preface, nothing said": What::FormFields(FormFields { form: None, prefix_bytes: 0 }),
        },
        What::Receive(_) => {
            "receive": What::Receive(receive),
            "receive, nothing said": What::Receive(bare_receive),
        },
        What::DigestStored(_) => {
            "examine": What::DigestStored(DigestStored { object: OBJECT, span: Some(span(0, 9)), digests: digests.clone() }),
            "examine nothing": What::DigestStored(DigestStored { object: OBJECT, span: None, digests: Vec::new() }),
        },
        What::Compose(_) => {
            "compose": What::Compose(Compose { object: OBJECT, pieces, digests: digests.clone(), budget: 13 }),
        },
        What::Seal(_) => { "seal": What::Seal(Seal { object: OBJECT, length: 9, digests: digests.clone() }) },
        What::WebSocket(_) => {
            "converse": What::WebSocket(WebSocketStep { say: Some(TEXT.into()), text_bytes_max: 4096 }),
            "converse, nothing said": What::WebSocket(WebSocketStep { say: None, text_bytes_max: 1 }),
        },
        What::Close(_) => {
            "close": What::Close(Close { code: CloseCode::Policy, reason: "Invalid Token".into() }),
        },
    );
    let mut all: Vec<_> =
        whats.into_iter().map(|(name, what)| (name, Step { continuation: "memo".into(), what })).collect();
    all.push(("no memo", Step { continuation: String::new(), what: What::FormFields(FormFields::default()) }));
    check("step.txt", "Steps: what the data plane does before the control plane words its answer.", &all);
    let codes = examples!(CloseCode:
        CloseCode::GoingAway => { "1001": CloseCode::GoingAway },
        CloseCode::Protocol => { "1002": CloseCode::Protocol },
        CloseCode::Unsupported => { "1003": CloseCode::Unsupported },
        CloseCode::NotText => { "1007": CloseCode::NotText },
        CloseCode::Policy => { "1008": CloseCode::Policy },
        CloseCode::TooLong => { "1009": CloseCode::TooLong },
        CloseCode::Internal => { "1011": CloseCode::Internal },
        CloseCode::TryAgain => { "1013": CloseCode::TryAgain },
    );
    codes.iter().for_each(|(number, code)| assert_eq!((*code as u16).to_string(), *number));
    check("close_code.txt", "Reasons to close a WebSocket: the number for clients, the word for the link.", &codes);
}

#[test]
fn outcomes() {
    let digests: Vec<_> = digests().into_iter().map(|(_, digest)| (digest, "00ff".to_owned())).collect();
    let part = Part { name: "file".into(), filename: Some(TEXT.into()), content_type: Some("text/plain".into()) };
    let told = FormFieldsReport {
        is_form: true,
        fields: fields(&[("key", TEXT)]),
        part: Some(part),
        is_end: true,
        prefix: "00ff".into(),
        remaining: Some(9),
    };
    let bare_part = Part { name: String::new(), filename: None, content_type: None };
    let tolds = examples!(StepReport:
        StepReport::FormFields(_) => {
            "preface": StepReport::FormFields(told),
            "preface, nothing said": StepReport::FormFields(FormFieldsReport::default()),
            "preface of a bare part": StepReport::FormFields(FormFieldsReport { part: Some(bare_part), ..FormFieldsReport::default() }),
        },
        StepReport::Received { .. } => { "received": StepReport::Received { bytes: 9, digests: digests.clone() } },
        StepReport::Digested { .. } => { "examined": StepReport::Digested { digests: digests.clone() } },
        StepReport::Composed { .. } => { "composed": StepReport::Composed { bytes: 9, digests: digests.clone() } },
        StepReport::Sealed { .. } => { "sealed": StepReport::Sealed { digests: Vec::new() } },
        StepReport::Message(Message::Text(_)) => { "text": StepReport::Message(Message::Text(TEXT.into())) },
        StepReport::Message(Message::Binary { .. }) => {
            "binary": StepReport::Message(Message::Binary { bytes: Some(9) }),
            "binary in fragments": StepReport::Message(Message::Binary { bytes: None }),
        },
        StepReport::Failed(Failure::Malformed) => { "malformed": StepReport::Failed(Failure::Malformed) },
        StepReport::Failed(Failure::FieldTooLong) => { "field too long": StepReport::Failed(Failure::FieldTooLong) },
        StepReport::Failed(Failure::TooLong) => { "too long": StepReport::Failed(Failure::TooLong) },
        StepReport::Failed(Failure::Short) => { "short": StepReport::Failed(Failure::Short) },
        StepReport::Failed(Failure::Mismatch) => { "mismatch": StepReport::Failed(Failure::Mismatch) },
        StepReport::Failed(Failure::Taken) => { "taken": StepReport::Failed(Failure::Taken) },
        StepReport::Failed(Failure::Gone) => { "gone": StepReport::Failed(Failure::Gone) },
        StepReport::Failed(Failure::NoRoom) => { "no room": StepReport::Failed(Failure::NoRoom) },
        StepReport::Failed(Failure::DiskFull) => { "disk full": StepReport::Failed(Failure::DiskFull) },
        StepReport::Failed(Failure::Revoked) => { "revoked": StepReport::Failed(Failure::Revoked) },
        StepReport::Failed(Failure::Disk) => { "disk": StepReport::Failed(Failure::Disk) },
        StepReport::Failed(Failure::NoUpgrade) => { "no upgrade": StepReport::Failed(Failure::NoUpgrade) },
    );
    let outcome = |told| Outcome { version: link::VERSION, ticket: 1, continuation: "memo".into(), report: told };
    let all: Vec<_> = tolds.into_iter().map(|(name, told)| (name, outcome(told))).collect();
    check("outcome.txt", "Outcomes: what came of a step.", &all);
}

fn presence() -> Presence {
    Presence {
        object: OBJECT,
        received: 15,
        contiguous: 10,
        spans: [span(0, 10), span(20, 25)].into_iter().collect(),
        length: Some(100),
        complete: false,
        at_unix_ms: TIME,
    }
}

fn whole() -> Presence {
    Presence {
        object: OTHER,
        received: 100,
        contiguous: 100,
        spans: crate::SpanSet::new(),
        length: Some(100),
        complete: true,
        at_unix_ms: TIME,
    }
}

fn served(span: Option<Span>, reach: Option<Reach>) -> Fact {
    Fact::Served { number: 4, object: OBJECT, ticket: 1, receiver: "r".into(), span, whole: true, reach, times: 2 }
}

#[test]
fn facts() {
    let reach = Some(Reach { acknowledged: 5, sent: 8 });
    let facts = examples!(Fact:
        Fact::Progress(_) => {
            "progress": Fact::Progress(presence()),
            "progress of unknown length": Fact::Progress(Presence { length: None, ..presence() }),
        },
        Fact::Completed(_) => { "completed": Fact::Completed(whole()) },
        Fact::Discarded { .. } => { "discarded": Fact::Discarded { object: OBJECT } },
        Fact::Removed { .. } => { "removed": Fact::Removed { object: OBJECT } },
        Fact::Open { .. } => { "open": Fact::Open { ticket: 1, object: OBJECT, bytes: 50 } },
        Fact::Settled { .. } => { "settled": Fact::Settled { ticket: 1, stored: 40 } },
        Fact::Served { .. } => {
            "served": served(Some(span(0, 9)), reach),
            "served, an empty file": served(None, None),
        },
        Fact::Stored { .. } => { "stored": Fact::Stored { bytes: 115 } },
        Fact::Inventory { .. } => {
            "inventory": Fact::Inventory { objects: vec![presence(), whole()], last: false },
            "inventory, its end": Fact::Inventory { objects: Vec::new(), last: true },
        },
    );
    let batch = |facts| FactBatch { version: link::VERSION, run: u64::MAX, asked_by: 7, facts };
    let mut all: Vec<_> = facts.into_iter().map(|(name, fact)| (name, batch(vec![fact]))).collect();
    all.push(("two of them", batch(vec![Fact::Removed { object: OBJECT }, Fact::Stored { bytes: 0 }])));
    check("facts.txt", "Facts: the body of POST /line/facts.", &all);
    let older = r#"{"version":2,"run":1,"facts":[{"fact":"served","number":4,"object":"00112233445566778899aabbccddeeff",
        "ticket":1,"receiver":"r","span":null,"whole":true,"times":2}]}"#;
    check_older(older, &FactBatch { version: 2, run: 1, asked_by: 0, facts: vec![served(None, None)] });
}

#[test]
fn claims() {
    let claim = |span, held_from| Claim { ticket: 1, object: OBJECT, receiver: "r".into(), span, held_from };
    let all = [
        ("all but the last block", claim(Some(span(0, 9)), Some(5))),
        ("the last block", claim(Some(span(0, 9)), None)),
        ("an empty file", claim(None, None)),
    ];
    check("claim.txt", "Claims: the body of POST /line/claim.", &all);
    check_older(
        r#"{"ticket":1,"object":"00112233445566778899aabbccddeeff","receiver":"r","span":null}"#,
        &claim(None, None),
    );
    let all = [
        ("go", Verdict { go: true, bound: false }),
        ("another receiver is about to have it", Verdict { go: false, bound: false }),
        ("another receiver has it", Verdict { go: false, bound: true }),
    ];
    check("verdict.txt", "Answers to a claim.", &all);
    check_older(r#"{"go":false}"#, &Verdict { go: false, bound: false });
}

#[test]
fn orders() {
    let node = NodeFacts {
        engine: "ring".into(),
        cores: 2,
        addresses: vec!["127.0.0.1:8765".into(), "[::1]:8765".into()],
        separate: vec!["127.0.0.1:3000".into()],
        degraded: Some("sync of objects failed".into()),
        damaged: 1,
        quarantined: 2,
        removals_due: 3,
        disk_free: 4,
        disk_size: 5,
        transfers: vec![
            OpenTransfers { address: "127.0.0.1".parse().unwrap(), receiving: 1, sending: 2 },
            OpenTransfers { address: "::1".parse().unwrap(), receiving: 0, sending: 1 },
        ],
    };
    let query = |busy, node| OrdersQuery {
        version: link::VERSION,
        run: 1,
        control_run: u64::MAX,
        epoch: 2,
        after: 3,
        busy,
        node,
    };
    let all = [("query", query(true, node)), ("query, a node that is well", query(false, NodeFacts::default()))];
    check("orders_query.txt", "Polls for orders: the body of POST /line/orders.", &all);
    let older = r#"{"version":2,"run":1,"control_run":18446744073709551615,"epoch":2,"after":3,"node":{"engine":"","cores":0,
        "addresses":[],"degraded":null,"disk_free":0,"disk_size":0}}"#;
    check_older(older, &query(false, NodeFacts::default()));

    let whats = examples!(order::What:
        order::What::Remove { .. } => {
            "remove": order::What::Remove { object: OBJECT, unless_written_since_unix_ms: None },
            "remove if silent": order::What::Remove { object: OBJECT, unless_written_since_unix_ms: Some(TIME) },
        },
    );
    let nothing = Orders {
        control_run: u64::MAX,
        epoch: 2,
        inventory: false,
        first: Vec::new(),
        orders: Vec::new(),
        unheard: Vec::new(),
    };
    let of = |what| Orders { orders: vec![Order { sequence: 4, what }], ..nothing.clone() };
    let mut all: Vec<_> = whats.into_iter().map(|(name, what)| (name, of(what))).collect();
    let asked = Orders { inventory: true, first: vec![OBJECT, OTHER], unheard: vec![1, 2], ..nothing.clone() };
    all.push(("the inventory is wanted", asked));
    all.push(("nothing", nothing.clone()));
    check("orders.txt", "Orders: the answer to a poll.", &all);
    check_older(r#"{"control_run":18446744073709551615,"epoch":2,"inventory":false,"orders":[]}"#, &nothing);
}

#[test]
fn counters() {
    let mut requests = Requests::default();
    for (index, kind) in counters::RequestKind::ALL.into_iter().enumerate() {
        let outcome = counters::RequestOutcome::ALL[index % counters::RequestOutcome::ALL.len()];
        (0..=index).for_each(|_| requests.count(kind, outcome));
    }
    let mut first_byte = Histogram::default();
    [1, 17, 1000, 1 << 25].into_iter().for_each(|us| first_byte.observe(Duration::from_micros(us)));
    let addresses = vec![
        AddressBytes { address: Some("127.0.0.1".parse().unwrap()), received: 1, sent: 2 },
        AddressBytes { address: None, received: 3, sent: 4 },
    ];
    let counted = CoreCounters {
        accepted: 1,
        crowded: 2,
        closed: 3,
        requests,
        cached: 4,
        granted: 5,
        answered: 6,
        undecided: 7,
        addresses,
        journal_bytes: 8,
        journal_syncs: 9,
        first_byte,
        decide: Histogram::default(),
    };
    let report = |counters| CountersReport { version: link::VERSION, run: 1, core: 0, counters };
    let all = [("counted", report(counted)), ("nothing counted", report(CoreCounters::default()))];
    check("counters.txt", "Counters: the body of POST /line/counters.", &all);
}

#[test]
fn names_of_the_link() {
    let mut golden = Golden::new(path("names.txt"), "The names of the control link, and its version.");
    for (name, text) in [
        ("version", link::VERSION.to_string().as_str()),
        ("which call", link::CALL),
        ("peer", link::PEER),
        ("listener", link::LISTENER),
        ("body", link::BODY),
        ("method", link::METHOD),
        ("next", link::NEXT),
        ("prefix of its fields", link::FIELD_PREFIX),
        ("media type of a grant", link::GRANT_MEDIA_TYPE),
        ("facts", link::FACTS_PATH),
        ("orders", link::ORDERS_PATH),
        ("claims", link::CLAIM_PATH),
        ("counters", link::COUNTERS_PATH),
    ] {
        golden.text(name, text);
    }
    let names = |names: Vec<&str>| names.join("\n");
    golden.text("kinds of requests", &names(counters::RequestKind::ALL.map(counters::RequestKind::name).to_vec()));
    golden.text("ends of requests", &names(counters::RequestOutcome::ALL.map(counters::RequestOutcome::name).to_vec()));
    golden.check();
}
