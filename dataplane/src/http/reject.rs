//! Why a message is refused before its request is looked at: the table of PROMISES.md §4.

/// What is wrong with the bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.verdict().detail)]
pub enum Reject {
    /// `Content-Length` and `Transfer-Encoding` in one head.
    LengthAndCoding,
    /// `Content-Length` twice, equal or not.
    LengthRepeated,
    /// `Content-Length` is not plain digits up to 2^63 - 1.
    LengthMalformed,
    /// `Transfer-Encoding` twice, or `chunked` twice in it.
    CodingRepeated,
    /// `Transfer-Encoding` without a value.
    CodingEmpty,
    /// `Transfer-Encoding` in HTTP/1.0.
    CodingInOldVersion,
    /// A transfer coding other than `chunked`.
    CodingUnknown,

    /// A chunk size that is not 1 to 16 hex digits, or above 2^63 - 1.
    ChunkSize,
    /// Something else than CRLF after the data of a chunk or its size.
    ChunkEnd,
    /// Chunk extensions longer than 256 bytes in a chunk or 16 KiB in a message, or with control bytes.
    ChunkExtensions,
    /// Trailers above 8 KiB or 32 fields.
    TrailersTooLarge,
    /// A trailer field that frames, routes, authorises or places the body.
    TrailerForbidden,

    /// A bare LF, or a CR without LF.
    LineEnd,
    /// A line that continues the one before.
    Folded,
    /// White space between a field's name and its colon.
    SpaceBeforeColon,
    /// A field name that is empty or no token, or a line without colon.
    FieldName,
    /// A control byte in a field value.
    FieldValue,
    /// The request line is not method, target and version with one space between.
    RequestLine,
    /// The target is in no form of RFC 9112 §3.2, or has bytes a URI cannot have.
    Target,
    /// The two HTTP parsers do not agree. Never seen; refusing is the safe answer.
    Ambiguous,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// `Host` twice.
    HostRepeated,
    /// `Host` is no host with an optional port.
    HostMalformed,
    /// The authority of the target is another one than `Host`.
    HostDisagrees,
    /// The request line is longer than 8 KiB.
    RequestLineTooLong,
    /// The head is longer than 64 KiB.
    HeadTooLarge,
    /// More than 100 fields.
    TooManyFields,
    /// One field is longer than 16 KiB.
    FieldTooLarge,
    /// No HTTP/1 version at all, or HTTP/0.9.
    VersionMalformed,
    /// HTTP/2 in clear, HTTP/1.2 and above.
    VersionUnknown,

    /// The head was not complete in time.
    HeadLate,
    /// The body came too slowly, or stopped coming.
    BodyLate,
    /// The node holds all the memory it may for requests that are not decided yet.
    Crowded,
    /// A body too large to be drained, on a route that takes none.
    BodyUnwanted,

    /// An unknown method.
    MethodUnknown,
    /// CONNECT and TRACE.
    MethodRefused,
    /// An expectation other than `100-continue`.
    Expectation,
}

/// How a [`Reject`] is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Status of the reply.
    pub status: u16,
    /// The connection ends; what follows is never parsed as a request.
    pub close: bool,
    /// For people; never echoes the request.
    pub detail: &'static str,
}

impl Reject {
    /// The table.
    pub const fn verdict(self) -> Verdict {
        let (status, close, detail) = match self {
            Self::LengthAndCoding => (400, true, "Content-Length and Transfer-Encoding exclude each other"),
            Self::LengthRepeated => (400, true, "Content-Length is given more than once"),
            Self::LengthMalformed => (400, true, "Content-Length is not a number from 0 to 2^63-1"),
            Self::CodingRepeated => (400, true, "Transfer-Encoding is given more than once"),
            Self::CodingEmpty => (400, true, "Transfer-Encoding is empty"),
            Self::CodingInOldVersion => (400, true, "HTTP/1.0 has no Transfer-Encoding"),
            Self::CodingUnknown => (501, true, "the only transfer coding here is chunked"),
            Self::ChunkSize => (400, true, "a chunk size is not 1 to 16 hex digits up to 2^63-1"),
            Self::ChunkEnd => (400, true, "a chunk does not end in CRLF"),
            Self::ChunkExtensions => (400, true, "chunk extensions are malformed or too long"),
            Self::TrailersTooLarge => (431, true, "the trailers are too large"),
            Self::TrailerForbidden => (400, true, "a trailer field is one that only a head may have"),
            Self::LineEnd => (400, true, "a line does not end in CRLF"),
            Self::Folded => (400, true, "a field is folded over two lines"),
            Self::SpaceBeforeColon => (400, true, "there is white space before a colon"),
            Self::FieldName => (400, true, "a field name is empty or malformed"),
            Self::FieldValue => (400, true, "a field value has a control byte"),
            Self::RequestLine => (400, true, "the request line is malformed"),
            Self::Target => (400, true, "the request target is malformed"),
            Self::Ambiguous => (400, true, "the head is malformed"),
            Self::HostMissing => (400, true, "Host is missing"),
            Self::HostRepeated => (400, true, "Host is given more than once"),
            Self::HostMalformed => (400, true, "Host is malformed"),
            Self::HostDisagrees => (400, true, "Host and request target disagree"),
            Self::RequestLineTooLong => (414, true, "the request line is too long"),
            Self::HeadTooLarge => (431, true, "the head is too large"),
            Self::TooManyFields => (431, true, "there are too many fields"),
            Self::FieldTooLarge => (431, true, "a field is too large"),
            Self::VersionMalformed => (400, true, "the HTTP version is malformed"),
            Self::VersionUnknown => (505, true, "this server speaks HTTP/1.1"),
            Self::HeadLate => (408, true, "the head was not complete in time"),
            Self::BodyLate => (408, true, "the body did not come in time"),
            Self::Crowded => (503, true, "this node holds too many unfinished requests; try again"),
            Self::BodyUnwanted => (413, true, "this request takes no body"),
            Self::MethodUnknown => (501, false, "the method is not known"),
            Self::MethodRefused => (405, false, "the method is not allowed"),
            Self::Expectation => (417, false, "the only expectation met here is 100-continue"),
        };
        Verdict { status, close, detail }
    }
}
