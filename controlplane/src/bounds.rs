//! Every bound of who is asked and how often, with what it is for. What an operator may change is a key of the
//! configuration; its default stands here. Not here: how long a name may be and the like, which stand with the dialect that
//! has the name.

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
/// Records of one principal, complete or not: files without a byte fill memory too, about 400 MiB of it up to here. Two
/// hundred people behind one address have 5,000 each.
pub const RECORDS_PER_PRINCIPAL: usize = 1_000_000;

/// Default of separate pieces one upload of Secure File Transfer may be in: ranges of bytes that lie together in one object. As
/// many as the data plane lets separate ranges of one object be (`SPANS_MAX` there). Each costs about 100 bytes of memory.
pub const PIECES_MAX: usize = 8192;
/// Pieces that a chunk is compared with at most; the data plane looks at each of them in a step of its own, twice.
pub const PIECES_COMPARED_MAX: usize = 64;
/// Steps of one request at the data plane (`STEPS_MAX` there).
const REQUEST_STEPS_MAX: usize = 1000;
/// Changes of one file of a device that are kept as such, at least, before all of it is written again; it is as many as
/// the file has pieces.
pub const STEPS_KEPT_MIN: usize = 32;
/// The same, at most: this many are read after a start, and erased at once.
pub const STEPS_KEPT_MAX: usize = 1024;
/// Files of devices that are remembered as they were read last, up to 1 MiB each.
pub const NAMES_REMEMBERED_MAX: usize = 64;
/// Chunks of a streaming upload that one document tells about; a chunk writes one such document, of 8 KiB at most.
pub const CHUNKS_PER_PAGE: u64 = 64;

const _: () = assert!(2 * PIECES_COMPARED_MAX + 16 <= REQUEST_STEPS_MAX, "a chunk that is compared gets its answer");
const _: () = assert!(STEPS_KEPT_MIN <= STEPS_KEPT_MAX);
// All of an upload that is written again is no more, for each chunk since, than this many pieces.
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
// If it is asked twice, it ends within a minute.
const _: () = assert!(2 * PROMISE_UNHEARD.as_secs() + POLL_WAIT.as_secs() < 60);

// ---- The control link, and what is remembered

/// Largest body of an ordinary API call (PROMISES.md §4).
pub const ATTACHED_BYTES_MAX: usize = 1 << 20;
/// Largest batch: an inventory page of objects with many spans each.
pub const FACTS_BATCH_BYTES_MAX: usize = 64 << 20;
/// Largest outcome: the fields of a form, as JSON.
pub const OUTCOME_BYTES_MAX: usize = 32 << 20;
/// Orders told in one answer.
pub const ORDERS_PER_ANSWER_MAX: usize = 1000;
/// Most objects that a data plane is asked to tell first: beyond them, an upload looks empty until its page came. Twice the
/// uploads that a node lets be open.
pub const INVENTORY_FIRST_MAX: usize = 200_000;
/// Receivers in the middle of a download that are remembered.
pub const TALLY_PARTS_MAX: usize = 8192;
/// Receivers remembered one by one per file; of the one that has least only the bytes are remembered beyond it.
pub const ONCE_RECEIVERS_MAX: usize = 256;
/// Separate spans per receiver; what is more is remembered more roughly, so that a record stays small.
pub const ONCE_SPANS_MAX: usize = 256;
/// Longer ones are no credentials, and are not looked up.
pub const CREDENTIAL_BYTES_MAX: usize = 255;
/// Readers at the same time; the next one gets 503. Each costs a connection of a client and one of the control link.
pub const LIVE_AUDIENCE_MAX: usize = 64;
/// Logins one address may begin in a minute: in the ten minutes they live, an eighth of what is remembered.
pub const LOGIN_STARTS_MAX: u32 = 120;
/// More than these push out the oldest.
pub const LOGINS_PENDING_MAX: usize = 10_000;
/// For the whole exchange, from connecting to the last byte.
pub const PROVIDER_WAIT: Duration = Duration::from_secs(5);
/// Largest answer.
pub const PROVIDER_BYTES_MAX: usize = 1 << 20;
/// Groups beyond these are not looked at.
pub const CLAIMED_GROUPS_MAX: usize = 1000;
/// Longest token.
pub const ID_TOKEN_BYTES_MAX: usize = 8 << 10;
/// Keys tried for a token that does not name one.
pub const ID_TOKEN_KEYS_MAX: usize = 16;
/// Longer ones are no credentials (PROMISES.md §4).
pub const JWT_BYTES_MAX: usize = 8 * 1024;
/// Ids one user may have open; a new one takes the place of the one that ends first.
pub const DECLARED_OPEN_MAX: usize = 1000;

const _: () = assert!(ATTACHED_BYTES_MAX < OUTCOME_BYTES_MAX && OUTCOME_BYTES_MAX < FACTS_BATCH_BYTES_MAX);
const _: () = assert!(INVENTORY_FIRST_MAX >= 2 * UPLOADS_OPEN_MAX);
const _: () = assert!(CREDENTIAL_CHARS_MIN < CREDENTIAL_BYTES_MAX);
// The data plane waits for an answer (`PROMISE_ANSWER_WAIT`) longer than a provider may take.
const _: () = assert!(PROVIDER_WAIT.as_secs() < PROMISE_ANSWER_WAIT.as_secs());
// One address takes no more than an eighth of the logins that are remembered: they live ten minutes.
const _: () = assert!(LOGIN_STARTS_MAX as usize * 10 <= LOGINS_PENDING_MAX / 8);

// ---- Storage of state

/// Changes in one commit.
pub const CATALOGUE_BATCH_MAX: usize = 4096;
/// How long changes are only in the list of recent ones.
pub const CATALOGUE_SETTLE: Duration = Duration::from_secs(1);
/// How many; beyond it everybody waits for the commit.
pub const CATALOGUE_UNSETTLED_MAX: usize = 8 * CATALOGUE_BATCH_MAX;
/// Room set aside: several times what one commit of a small catalogue grows the file by.
pub const BALLAST_BYTES: u64 = 4 << 20;
/// Askers of one commit; more than there can be requests, so reaching it means that something else is wrong.
pub const REDIS_QUEUE_MAX: usize = 65_536;
/// Objects and documents that are written one by one in a single script; tens of milliseconds of Redis' time.
pub const REDIS_SEPARATE_MAX: usize = 16_384;
/// Connecting, signing in included.
pub const REDIS_CONNECT_WAIT: Duration = Duration::from_secs(2);
/// Silence in the middle of a request or of an answer.
pub const REDIS_ANSWER_WAIT: Duration = Duration::from_secs(2);
/// For a connection, old or new.
pub const PEOPLE_CONNECT_WAIT: Duration = Duration::from_secs(3);
/// For a lock that another process holds: below the limit of an operation, so that the database itself gives up first
/// and the connection stays good.
pub const PEOPLE_LOCK_WAIT: Duration = Duration::from_secs(4);
/// Within this time every operation has an answer.
pub const PEOPLE_ANSWER_WAIT: Duration = Duration::from_secs(5);

const _: () = assert!(CATALOGUE_BATCH_MAX < CATALOGUE_UNSETTLED_MAX);
const _: () = assert!(PEOPLE_CONNECT_WAIT.as_secs() < PEOPLE_ANSWER_WAIT.as_secs());
const _: () = assert!(PEOPLE_LOCK_WAIT.as_secs() < PEOPLE_ANSWER_WAIT.as_secs());
const _: () = assert!(PEOPLE_ANSWER_WAIT.as_secs() < PROMISE_ANSWER_WAIT.as_secs());
const _: () = assert!(REDIS_CONNECT_WAIT.as_secs() + 2 * REDIS_ANSWER_WAIT.as_secs() < PROMISE_ANSWER_WAIT.as_secs());
