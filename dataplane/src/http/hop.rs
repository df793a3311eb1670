//! Fields that belong to one connection and never travel on (RFC 9110 §7.6.1).

use etransfer_contract::list::members;
use etransfer_contract::tus::Fields;

/// Besides these, whatever `Connection` names. `Content-Length` is here because framing is always written again.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What stays on the connection of one message.
pub(super) struct HopByHop<'a> {
    named: Vec<&'a [u8]>,
}

impl<'a> HopByHop<'a> {
    /// Reads what the message's `Connection` names.
    pub fn of(fields: &'a impl Fields) -> Self {
        Self { named: members(fields.all("connection")).collect() }
    }

    /// Whether a field stays.
    pub fn holds(&self, name: &str) -> bool {
        HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
            || self.named.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    }
}
