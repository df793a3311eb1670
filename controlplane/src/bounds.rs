//! Every bound of who is asked and how often, with what it is for. What an operator may change is a key of the
//! configuration; its default stands here.

use std::time::Duration;

/// Failures of one address in [`FAILURE_WINDOW`]: two hundred people behind one address may each be wrong once, and some
/// more often. Guessing a token of 16 letters at this rate takes longer than anybody lives.
pub const FAILURES_PER_ADDRESS: u64 = 300;
/// Failures at one device or account in that time: a person who mistypes stays below, a dictionary does not get far.
pub const FAILURES_PER_PRINCIPAL: u64 = 30;
/// The time failures are counted over.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(300);
/// Addresses and principals whose failures are remembered; the oldest goes for a new one.
pub const FAILURE_ENTRIES_MAX: usize = 20_000;
/// Wrong credentials remembered, so that a program that repeats one is no guesser.
pub const WRONG_ENTRIES_MAX: usize = 20_000;
/// Right credentials remembered with the address they came from: they are let in whatever others there do.
pub const GOOD_ENTRIES_MAX: usize = 20_000;
/// How long a right credential is remembered after its last use.
pub const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);
/// Shorter credentials can be guessed: they are never let in past the limit, and are warned of at the start.
pub const CREDENTIAL_CHARS_MIN: usize = 16;

/// For how long a credential that was no session is not looked for again: rows of other programs count soon.
pub const NO_SESSION_FOR: Duration = Duration::from_secs(1);
/// Credentials remembered as no session.
pub const NO_SESSION_ENTRIES_MAX: usize = 20_000;
/// Lookups of unknown credentials at once, out of the connections to the database.
pub const UNKNOWN_LOOKUPS_MAX: usize = 4;
/// Decisions that run or wait for such a lookup.
pub const UNKNOWN_DECISIONS_MAX: usize = 48;
/// Lookups of credentials that were right before, running or waiting for a connection.
pub const KNOWN_LOOKUPS_MAX: usize = 40;
/// How long a decision waits for its turn to be looked up.
pub const LOOKUP_WAIT: Duration = Duration::from_millis(500);
/// Connections to the database of people.
pub const PEOPLE_CONNECTIONS_MAX: u32 = 8;
/// Decisions one core of the data plane has open at the control plane (`OPEN_MAX` of its line).
const LINE_OPEN_MAX: usize = 64;

/// Password hashes computed or waited for, for each purpose.
pub const HASH_QUEUE_MAX: usize = 64;
/// Of those, from one address.
pub const HASH_QUEUE_PER_ADDRESS: usize = 32;
/// Characters of a new password.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Registrations one address may try in [`REGISTRATION_WINDOW`].
pub const REGISTRATIONS_PER_ADDRESS: u32 = 300;
/// The time they are counted over.
pub const REGISTRATION_WINDOW: Duration = Duration::from_secs(3600);

/// Addresses whose attempts or requests are counted, in each table; the oldest goes for a new one.
pub const ADDRESSES_MAX: usize = 10_000;
/// Uploads about to begin that a surface remembers.
pub const OPENINGS_MAX: usize = 10_000;

/// Incomplete uploads of the node: each costs about 1 KiB of memory, all together 100 MiB.
pub const UPLOADS_OPEN_MAX: usize = 100_000;
/// Of those, from one user, static token or address. Two hundred people behind one address have 50 each, more than a client
/// sends at once; and one principal leaves nine tenths to the others.
pub const UPLOADS_OPEN_PER_PRINCIPAL: usize = 10_000;
/// Records of one principal, complete or not: files without a byte fill memory too, about 1 GiB of it up to here. Two
/// hundred people behind one address have 5,000 each.
pub const RECORDS_PER_PRINCIPAL: usize = 1_000_000;

/// Default of separate pieces one upload of Secure File Transfer may be in: ranges of bytes that lie together in one object. As
/// many as the data plane lets separate ranges of one object be (`SPANS_MAX` there). Each costs about 100 bytes of memory.
pub const PIECES_MAX: usize = 8192;
/// Pieces that a chunk is compared with at most; the data plane looks at each of them in a step of its own, twice.
pub const PIECES_COMPARED_MAX: usize = 64;
/// Steps of one request at the data plane (`STEPS_MAX` there).
const REQUEST_STEPS_MAX: usize = 1000;
/// Changes of one file of a device that are kept as such, at least, before all of it is written anew; it is as many as the file
/// has pieces.
pub const STEPS_KEPT_MIN: usize = 32;
/// The same, at most: so many are read after a start, and erased at once.
pub const STEPS_KEPT_MAX: usize = 1024;
/// Files of devices that are remembered as they were read last, up to 1 MiB each.
pub const NAMES_REMEMBERED_MAX: usize = 64;
/// Chunks of a streaming upload that one document tells about; a chunk writes one such document, of 8 KiB at most.
pub const CHUNKS_PER_PAGE: u64 = 64;

const _: () = assert!(2 * PIECES_COMPARED_MAX + 16 <= REQUEST_STEPS_MAX, "a chunk that is compared gets its answer");
const _: () = assert!(STEPS_KEPT_MIN <= STEPS_KEPT_MAX);
// All of an upload that is written anew is no more, for each chunk since, than this many pieces.
const _: () = assert!(PIECES_MAX / STEPS_KEPT_MAX <= 8);

/// Refusals of the same kind within this time are one row of the audit log.
pub const AUDIT_FOLD: Duration = Duration::from_secs(60);
/// Kinds of refusals counted at the same time.
pub const AUDIT_KINDS_MAX: usize = 4_096;
/// Rows about refusals in [`AUDIT_FOLD`]; the rest is one row with a number.
pub const AUDIT_ROWS_MAX: u32 = 600;
/// Bytes of a name that a stranger gave.
pub const AUDIT_NAME_BYTES_MAX: usize = 128;

const _: () = assert!(UNKNOWN_LOOKUPS_MAX < PEOPLE_CONNECTIONS_MAX as usize, "known sessions keep connections");
const _: () = assert!(UNKNOWN_DECISIONS_MAX < LINE_OPEN_MAX, "decisions without a lookup keep a way in");
const _: () = assert!(KNOWN_LOOKUPS_MAX < LINE_OPEN_MAX);
const _: () = assert!(HASH_QUEUE_PER_ADDRESS * 2 <= HASH_QUEUE_MAX, "one address never fills a queue");
const _: () = assert!(UPLOADS_OPEN_PER_PRINCIPAL * 10 <= UPLOADS_OPEN_MAX, "one principal leaves most to the others");
const _: () = assert!(UPLOADS_OPEN_PER_PRINCIPAL < RECORDS_PER_PRINCIPAL);
const _: () = assert!(FAILURES_PER_PRINCIPAL < FAILURES_PER_ADDRESS);
const _: () = assert!(FAILURES_PER_ADDRESS as usize <= WRONG_ENTRIES_MAX);

// ---- Rights that end, and promises

/// Epochs that one start may use before the next one: more than revocations in its life.
pub const EPOCHS_PER_START: u64 = 1 << 32;
/// How long a poll is held open: what the data plane tells about itself with the next one is never older.
pub const POLL_WAIT: Duration = Duration::from_secs(1);
/// The same while the data plane carries out orders: it fetches the next ones when it is done.
pub const POLL_WAIT_BUSY: Duration = Duration::from_millis(50);
/// The longest a data plane waits for the answer that carries a promise.
pub const PROMISE_ANSWER_WAIT: Duration = Duration::from_secs(10);
/// A promise of this age is asked about, and again after as long: an answer that was lost holds no space.
pub const PROMISE_UNHEARD: Duration = Duration::from_secs(20);
/// Promises that are asked about in one answer.
pub const UNHEARD_MAX: usize = 1000;
/// How often what has expired is written down, so that a clock that is set back brings nothing back.
pub const EXPIRY_TICK: Duration = Duration::from_secs(1);

const _: () = assert!(POLL_WAIT_BUSY.as_millis() < POLL_WAIT.as_millis());
// Nothing is asked about while its grant may still arrive.
const _: () = assert!(PROMISE_UNHEARD.as_secs() >= 2 * PROMISE_ANSWER_WAIT.as_secs());
// Asked twice, it ends within a minute.
const _: () = assert!(2 * PROMISE_UNHEARD.as_secs() + POLL_WAIT.as_secs() < 60);
