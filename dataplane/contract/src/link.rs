//! The control link between the planes: plain HTTP/1.1 over a Unix socket. The data plane sends the requests.
//!
//! # What travels
//!
//! | call | request | answer |
//! |---|---|---|
//! | decide | the client's own method and target, its head rebuilt (hop-by-hop and `Etransfer-*` fields dropped), no body, plus [`PEER`], [`LISTENER`], [`BODY`] and [`CALL`]` : decide` | an ordinary response, relayed whole; or a [`Grant`](crate::Grant) as [`GRANT_MEDIA_TYPE`] |
//! | attached | the same, [`CALL`]` : attached`, with the client's body (sent after a decide was answered by [`Act::Forward`](crate::grant::Act::Forward)) | an ordinary response, relayed whole |
//! | outcome | the same, [`CALL`]` : outcome`, with an [`Outcome`](crate::step::Outcome): the report on a [`Step`](crate::step::Step) | the next grant, or an ordinary response, relayed whole |
//! | recheck | the same, [`CALL`]` : recheck`, for a transfer under way when the epoch rose, and every few seconds | [`Recheck`](crate::grant::Recheck); anything else: it goes on |
//! | facts | `POST `[`FACTS_PATH`], [`FactBatch`](crate::fact::FactBatch) | 204; anything else: sent again |
//! | orders | `POST `[`ORDERS_PATH`], [`OrdersQuery`](crate::order::OrdersQuery); held open until there is news or a second passed | [`Orders`](crate::order::Orders) |
//! | claim | `POST `[`CLAIM_PATH`], [`Claim`](crate::fact::Claim): may the last block of this delivery be sent? | [`Verdict`](crate::fact::Verdict) |
//! | counters | `POST `[`COUNTERS_PATH`], [`CountersReport`](crate::counters::CountersReport), each second and core: also the sign that the core is alive | 204; anything else: the next one has the same sums |
//!
//! A decide carries no body, and not the `Expect: 100-continue` form: a server that answers early
//! while a body is announced has to close the connection, so every grant would cost a new one. The two-step form keeps
//! one connection per core alive, and curl can drive either side with plain requests.
//!
//! A decide or attached for HEAD travels as GET with [`METHOD`]` : HEAD`: an answer to HEAD has no body, so it could not
//! carry a grant. The client, of course, gets its answer without a body.
//!
//! An ordinary answer may carry [`NEXT`]: the grant for the request its client will probably send next
//! ([`PrefetchedGrant`](crate::grant::PrefetchedGrant)). The data plane remembers it as if it had requested it, so creating an
//! upload and sending it costs one decision, not two.
//!
//! The calls with paths of their own carry [`CALL`]` : call`; without it the control plane answers 404, and the
//! data plane drops every `Etransfer-*` field a client sends, so no client can speak them. One path is the control plane's
//! own: `et server user` calls it on the node's machine; the right to open the socket is its authority.
//!
//! # Read your writes
//!
//! A decide never overtakes facts: the data plane delivers every fact queued before the request was read, then decides.
//! If the link is down, the client gets 503 with `Retry-After`.
//!
//! A decide does not wait for pages of an inventory. What a decision needs of them is reported before: the
//! objects that the control plane has incomplete records of ([`Orders::first`](crate::order::Orders::first)), unconfirmed
//! completions and removals, open promises, and the sum of all bytes ([`Fact::Stored`](crate::Fact::Stored)). A page is
//! bounded in bytes, travels with the facts of its moment, and so is never older than what was reported before it.
//! After a batch was refused, half of it is sent.

/// Says which of the calls this is: `decide`, `attached`, `outcome`, `recheck` or `call`.
pub const CALL: &str = "etransfer-line";
/// Peer address of the client's connection, `ip:port`.
pub const PEER: &str = "etransfer-peer";
/// Local address of the client's connection, `ip:port`.
pub const LISTENER: &str = "etransfer-listener";
/// How the client framed its body: `none`, `chunked`, or a decimal length. The body itself stays with the data plane.
pub const BODY: &str = "etransfer-body";
/// The client's own method, sent only when it is `HEAD` (then the request line says `GET`).
pub const METHOD: &str = "etransfer-method";
/// A field of an ordinary answer: an [`PrefetchedGrant`](crate::grant::PrefetchedGrant) as JSON.
pub const NEXT: &str = "etransfer-next";
/// Every field name with this prefix belongs to the link and is dropped from what clients send, and from what they get.
pub const FIELD_PREFIX: &str = "etransfer-";
/// Media type of a grant.
pub const GRANT_MEDIA_TYPE: &str = "application/vnd.etransfer.grant+json";
/// Where facts are posted.
pub const FACTS_PATH: &str = "/line/facts";
/// Where orders are fetched.
pub const ORDERS_PATH: &str = "/line/orders";
/// Where claims are posted.
pub const CLAIM_PATH: &str = "/line/claim";
/// Where counters are posted.
pub const COUNTERS_PATH: &str = "/line/counters";
/// The version both sides speak; a mismatch stops the data plane at start with both numbers named.
pub const VERSION: u16 = 2;
