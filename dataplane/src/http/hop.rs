//! Fields that belong to one connection and never travel on (RFC 9110 §7.6.1).

use etransfer_contract::tus::Fields;

/// Besides these, whatever `Connection` names. `Content-Length` is here because framing is always written anew.
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

/// Whether a field of this message stays on its connection.
pub(super) fn is_hop_by_hop(fields: &impl Fields, name: &str) -> bool {
    let mut named = fields.all("connection").flat_map(|value| value.split(|byte| *byte == b','));
    HOP_BY_HOP.iter().any(|hop| name.eq_ignore_ascii_case(hop))
        || named.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}
