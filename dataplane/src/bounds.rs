//! Every bound of the data plane that no configuration sets, and how they hang together. What an operator may set is in
//! [`Limits`](crate::config::Limits); its defaults are here. Not here: what the grammar of a format fixes (the length of a
//! nonce, the digits of a number), which stands in its parser, and how often something is looked at.
//!
//! Must stay true: nothing of the data plane waits, grows or repeats beyond one of these; a bound that leans on another one
//! states it in an assertion, so that a change of one of them which breaks the other does not compile.

use std::time::Duration;

const KIB: usize = 1024;

// ---- Memory for requests that are not decided yet

/// A connection holds this much of a head without being charged for it: nearly every head is smaller.
pub const HEAD_FREE_BYTES: usize = 4 * KIB;
/// Largest head of a request, its empty line included.
pub const HEAD_BYTES_MAX: usize = 64 * KIB;
/// The fields after a chunked body, with their empty line.
pub const TRAILER_BYTES_MAX: usize = 8 * KIB;
/// Buffers of a body that is read for the control plane: what waits for a delimiter, and the piece that is received.
pub const READ_AHEAD_CHARGE: usize = 48 * KIB;
/// What a field of a form costs beside its name and its value: two strings, their place in a list, their quotes in JSON.
pub const FIELD_CHARGE: usize = 256;
/// Default of [`Limits::undecided_bytes_max`](crate::config::Limits::undecided_bytes_max).
pub const UNDECIDED_BYTES_MAX: usize = 64 << 20;

/// More memory than this, freed and kept by the allocator, goes back to the kernel.
pub const HEAP_SURPLUS_BYTES: u64 = 16 << 20;

const _: () = assert!(HEAD_FREE_BYTES < HEAD_BYTES_MAX);
// A thousand requests of the largest kind fit at once.
const _: () = assert!(UNDECIDED_BYTES_MAX >= 512 * (HEAD_BYTES_MAX + TRAILER_BYTES_MAX + READ_AHEAD_CHARGE));
// What is not charged is as much again at the most, and a little more.
const _: () = assert!(CONNECTIONS_MAX * HEAD_FREE_BYTES <= 2 * UNDECIDED_BYTES_MAX);

// ---- Forms

/// Fields of a form before and between its files, in one request.
pub const FORM_FIELDS_MAX: usize = 64;
/// Longest head of a part, its delimiter included.
pub const PART_HEAD_BYTES_MAX: usize = 16 * KIB;
/// White space between a boundary and its line end (RFC 2046 §5.1.1, "transport padding"); a line with more is content.
pub const BOUNDARY_PADDING_MAX: usize = 64;
/// Read at a time while a delimiter is looked for.
pub const FORM_STEP_BYTES: usize = 8 * KIB;
/// Read at a time of what is reported to the control plane, or discarded.
pub const REPORTED_READ_BYTES: usize = 16 * KIB;
/// Steps of one request; a batch of files takes three each. Each message of a WebSocket counts as a request.
pub const STEPS_MAX: usize = 1000;

const _: () = assert!(PART_HEAD_BYTES_MAX + FORM_STEP_BYTES + REPORTED_READ_BYTES <= READ_AHEAD_CHARGE);
// A boundary line fits a part's head, padding included.
const _: () = assert!("\r\n--".len() + 70 + BOUNDARY_PADDING_MAX + "\r\n".len() < PART_HEAD_BYTES_MAX);

// ---- Uploads

/// Separate ranges of received bytes one upload may have: each costs memory, and space in every checkpoint and inventory. A
/// body that would open one more is refused; one that goes on where received bytes end is not.
pub const SPANS_MAX: usize = 8192;

/// Records of one journal that wait in memory for the disk. Beyond it a request with another record waits until some are written.
pub const JOURNAL_TAIL_BYTES_MAX: usize = 1 << 20;
/// How long a record waits there when no request waits for it: after a kill, the client sends at most this much of an
/// unanswered upload again.
pub const JOURNAL_IDLE_WAIT: Duration = Duration::from_millis(50);

// ---- Time of a sender

/// A sender starts with windows of this size and returns to them when it gets slow: a full one within [`BODY_TICK`] earns
/// a slot.
pub const SMALL_WINDOW_BYTES: usize = 64 * KIB;
/// How often a receive looks up, and so how long a sender that became slow keeps a slot.
pub const BODY_TICK: Duration = Duration::from_millis(200);
/// A body that no route wants is read away up to this, then the connection stays usable.
pub const DRAIN_BYTES_MAX: u64 = 64 * KIB as u64;
/// And for no longer than this, in all.
pub const DRAIN_WAIT: Duration = Duration::from_secs(1);
/// How long a connection that is about to close reads on, so that the client can read the answer.
pub const LINGER_WAIT: Duration = Duration::from_secs(1);
/// What is read away meanwhile.
pub const LINGER_BYTES_MAX: u64 = 64 << 20;

const _: () = assert!(DRAIN_BYTES_MAX < LINGER_BYTES_MAX);

// ---- Connections

/// Default of [`Limits::connections_max`](crate::config::Limits::connections_max).
pub const CONNECTIONS_MAX: usize = 20_000;
/// Default of [`Limits::connections_per_source_max`](crate::config::Limits::connections_per_source_max): 200 people behind one
/// address have ten each.
pub const CONNECTIONS_PER_SOURCE_MAX: usize = 2_000;
/// Descriptors that are no connection's: journals, listeners, rings, the catalogue, the control link.
pub const DESCRIPTORS_OF_THE_NODE: u64 = 256;
/// A connection, and the file it reads or writes.
pub const DESCRIPTORS_PER_CONNECTION: u64 = 2;
/// The last descriptors are for files and for the control link: a connection that would take one is refused. Of a
/// small limit, a quarter.
pub const DESCRIPTORS_KEPT: u64 = 32;
/// Connections that are turned away in one go when no descriptor is left; then the core does something else.
pub const TURNED_AWAY_MAX: usize = 64;
/// What one of them has sent already is read away up to this: unread bytes would reset the answer.
pub const TURNED_AWAY_BYTES_MAX: usize = 64 * KIB;

const _: () = assert!(DESCRIPTORS_KEPT <= DESCRIPTORS_OF_THE_NODE);
// One source leaves most connections to others, and ten of its kind are needed to take them all.
const _: () = assert!(CONNECTIONS_PER_SOURCE_MAX * 10 <= CONNECTIONS_MAX);

// ---- Readers of answers

/// Default of [`Limits::answer_timeout`](crate::config::Limits::answer_timeout).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);
/// Default of [`Limits::peer_timeout`](crate::config::Limits::peer_timeout).
pub const PEER_TIMEOUT: Duration = Duration::from_secs(120);
/// Default of [`Limits::stalled_readers_max`](crate::config::Limits::stalled_readers_max).
pub const STALLED_READERS_MAX: usize = 1_000;

// Readers that take nothing leave most connections to others; one source alone may fill their places and then cuts itself.
const _: () = assert!(STALLED_READERS_MAX <= CONNECTIONS_PER_SOURCE_MAX);
const _: () = assert!(PEER_TIMEOUT.as_secs() < ANSWER_TIMEOUT.as_secs());

// ---- Rights that end

/// How often a body under way rechecks its right, beside every rise of the epoch.
pub const RECHECK_EVERY: Duration = Duration::from_secs(5);
/// How long a body stands still for that answer.
pub const RECHECK_ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Pause after no answer; meanwhile the body goes on.
pub const RECHECK_RETRY: Duration = Duration::from_secs(1);
/// Removals that are carried out at a time for the control plane.
pub const ORDERS_AT_ONCE: usize = 16;

// A control plane that does not answer halves the speed of no body.
const _: () = assert!(2 * RECHECK_ANSWER_WAIT.as_millis() < RECHECK_EVERY.as_millis());

// ---- Waiting for the control plane

/// How long an answer may take. Long polls bring their own.
pub const CONTROL_ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Requests one core has open at the control plane; the rest wait their turn.
pub const CONTROL_REQUESTS_MAX: usize = 64;
/// Idle connections kept per core.
pub const CONTROL_IDLE_MAX: usize = 32;
/// Largest answer that is taken whole (grants, verdicts, orders).
pub const CONTROL_ANSWER_BYTES_MAX: usize = 8 << 20;
/// The control plane holds a poll open for a second at most.
pub const ORDERS_POLL_WAIT: Duration = Duration::from_secs(10);
/// How long a decision waits for facts that are on their way, and for a control plane that restarts.
pub const CONTROL_CONNECT_WAIT: Duration = Duration::from_secs(2);
/// How long a decision may take.
pub const DECISION_WAIT: Duration = Duration::from_secs(10);
/// Most grants remembered.
pub const GRANTS_REMEMBERED_MAX: usize = 4096;
/// Facts per batch. Sending one takes some turns of its core, and each of thousands of busy connections may leave a fact
/// in every turn: a batch must take more than arrives meanwhile, or `Facts::flush` never ends.
pub const FACTS_PER_BATCH_MAX: usize = 16_384;
/// About how many bytes of JSON a batch has: some milliseconds of work on the other side, so that a decision that waits for
/// it hardly notices. One fact may be larger.
pub const FACTS_BATCH_BYTES: usize = 4 << 20;
/// The same for a page of the inventory, which travels with every batch until all of it was sent.
pub const INVENTORY_PAGE_BYTES: usize = 256 << 10;
/// This many waiting counts are sent at once.
pub const FACT_COUNTS_MAX: usize = 1000;
/// Deliveries that end while the control plane is away are forgotten beyond this; bytes and removals never are.
pub const SERVED_FACTS_MAX: usize = 100_000;
/// How long a report may take; the next one has the same sums.
pub const REPORT_WAIT: Duration = Duration::from_secs(2);
/// Local addresses counted separately. A listener on `0.0.0.0` serves every address of the machine, `127.0.0.0/8` included.
pub const REPORTED_ADDRESSES_MAX: usize = 64;
/// Facts still waiting at the end get this long; the journal keeps what matters.
pub const LAST_FACTS_WAIT: Duration = Duration::from_secs(1);

const _: () = assert!(CONTROL_IDLE_MAX <= CONTROL_REQUESTS_MAX);
const _: () = assert!(DECISION_WAIT.as_secs() <= CONTROL_ANSWER_WAIT.as_secs());
const _: () = assert!(CONTROL_CONNECT_WAIT.as_secs() < DECISION_WAIT.as_secs());
const _: () = assert!(INVENTORY_PAGE_BYTES <= FACTS_BATCH_BYTES);
// The control plane takes batches of 64 MiB (`FACTS_BATCH_BYTES_MAX` there): one object with all its spans always fits.
const _: () = assert!(FACTS_BATCH_BYTES + SPANS_MAX * 64 <= 64 << 20);
const _: () = assert!(FACT_COUNTS_MAX <= FACTS_PER_BATCH_MAX);

// ---- Heads and framing

/// Fields of a head: the table of them has this size.
pub const HEAD_FIELDS_MAX: usize = 100;
/// Fields of a trailer section.
pub const TRAILER_FIELDS_MAX: usize = 32;
/// A length has at most the digits of 2^63 - 1.
pub const LENGTH_DIGITS_MAX: usize = 19;
/// Extension bytes of one chunk, from the semicolon on.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 256;
/// The same of all chunks of one body.
pub const BODY_EXTENSIONS_BYTES_MAX: u32 = 16 * 1024;
/// A status line is short; more is no HTTP.
pub const STATUS_LINE_BYTES_MAX: usize = 1024;
/// Most fields of a part's head.
pub const STEP_FIELDS_MAX: usize = 32;
/// Longest `X-Received-Ranges`: half of what the tightest proxies take for a head.
pub const RANGES_FIELD_BYTES_MAX: usize = 4 * 1024;
/// A client that lets no pong through for this long reads nothing at all.
pub const PONG_WAIT: Duration = Duration::from_secs(5);

const _: () = assert!(CHUNK_EXTENSION_BYTES_MAX < BODY_EXTENSIONS_BYTES_MAX);
const _: () = assert!(TRAILER_FIELDS_MAX < HEAD_FIELDS_MAX);
const _: () = assert!(RANGES_FIELD_BYTES_MAX * 2 <= TRAILER_BYTES_MAX);

// ---- Waiting inside the node

/// A writer silent for this long is ended by a request that wants its bytes (T-LOCK-2).
pub const WRITER_SILENT: Duration = Duration::from_secs(1);
/// How long a request waits for bytes another writer owns (T-LOCK-2a).
pub const WRITER_CLAIM_WAIT: Duration = Duration::from_secs(5);
/// How long a delivery that must not go on waits for the end of the one that is in its way.
pub const RECEIVER_CLAIM_WAIT: Duration = Duration::from_secs(1);
/// The block the second claim decides about. What is shorter is claimed once, whole.
pub const HELD_BACK_BYTES: u64 = 64 * 1024;
/// How long a slot waits for its client: one that takes all of it in this time reads at least 5 MiB/s.
pub const READER_SLOT_WAIT: Duration = Duration::from_millis(200);
/// How long the control plane may take between two pieces of an answer.
pub const RELAYED_PIECE_WAIT: Duration = Duration::from_secs(60);
/// A writer that does not end in this time waits for a stuck disk (T-LOCK-4).
pub const REMOVAL_END_WAIT: Duration = Duration::from_secs(5);
/// Helper threads per process.
pub const HELPER_THREADS_MAX: usize = 4;
/// Jobs waiting for a thread; beyond it the callers wait.
pub const HELPER_QUEUE_MAX: usize = 256;

const _: () = assert!(WRITER_SILENT.as_secs() < WRITER_CLAIM_WAIT.as_secs());
// A delivery in the way of another one has ended before a writer or a removal gives up.
const _: () = assert!(RECEIVER_CLAIM_WAIT.as_secs() < WRITER_CLAIM_WAIT.as_secs());
const _: () = assert!(WRITER_CLAIM_WAIT.as_secs() <= REMOVAL_END_WAIT.as_secs());
const _: () = assert!(HELPER_THREADS_MAX < HELPER_QUEUE_MAX);

// ---- The store

/// How many removals are remembered at most; beyond it the oldest confirmed ones go early.
pub const TOMBSTONES_MAX: usize = 1_000_000;
/// Files of uploads under way that stay open between two requests.
pub const KEPT_FILES_MAX: usize = 256;
/// Entries of the index that are looked at before their shard is free for others.
pub const INDEX_BATCH: usize = 512;

// ---- Memory and disk of a core

/// Alignment of direct reads and writes, in file and memory. Larger than every block size in the field.
pub const BLOCK_BYTES: u64 = 4096;
/// Slots of 1 MiB per core.
pub const SLOTS: usize = 64;
