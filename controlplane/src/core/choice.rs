//! Settings that are one of a few words, or an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::setting::{Expected, Setting};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl $crate::core::Setting for $name {
            fn from_text(text: &str) -> Result<Self, $crate::core::Expected> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::core::Expected(concat!("one of", $(" ", $word),*).into())),
                }
            }

            fn to_value(&self) -> serde_json::Value {
                self.word().into()
            }
        }
    };
}

words!(
    /// Where the catalogue lives.
    StateBackend {
        /// In memory: forgotten at exit.
        Memory = "memory",
        /// The node's own durable file.
        File = "file",
        /// A Redis server, which nodes may share; each has a catalogue of its own there.
        Redis = "redis",
    }
);
words!(
    /// When acknowledged bytes are synced.
    Durability {
        /// Never.
        None = "none",
        /// Before the final acknowledgement of an object.
        Complete = "complete",
        /// Before every acknowledgement.
        Every = "every",
    }
);
words!(
    /// Which door bytes take to the disk.
    WriteMode {
        /// Direct for large bodies, buffered for small ones.
        Auto = "auto",
        /// Direct wherever whole blocks are written.
        Direct = "direct",
        /// Always through the page cache.
        Buffered = "buffered",
    }
);
words!(
    /// How bytes are moved.
    Engine {
        /// The ring; readiness when io_uring is refused.
        Auto = "auto",
        /// The ring or no start.
        Ring = "ring",
        /// epoll.
        Readiness = "readiness",
    }
);
words!(
    /// How long a complete file lives (easytransfer/CONTRACT.md §3).
    Policy {
        /// Until deleted.
        Permanent = "permanent",
        /// Until the first full download.
        DownloadOnce = "download_once",
        /// Some seconds after completion.
        Ttl = "ttl",
    }
);
words!(
    /// What a second receiver of a whole `download_once` file meets (easytransfer/CONTRACT.md §17.6).
    OnceMode {
        /// Both are served, and the first to finish has it.
        FirstComplete = "first_complete",
        /// 409 while another client receives it.
        Exclusive = "exclusive",
    }
);
words!(
    /// Where people are kept (easytransfer/CONTRACT.md §9.3).
    PeopleBackend {
        /// A file beside the objects.
        Sqlite = "sqlite",
        /// MySQL or MariaDB.
        MySql = "mysql",
        /// PostgreSQL.
        Postgres = "postgresql",
    }
);
words!(
    /// When a person's storage limit is looked at (easytransfer/CONTRACT.md §17.8).
    UserCheck {
        /// With every body: an upload may start and wait for room.
        Patch = "patch",
        /// At creation already: what does not fit now is refused.
        Create = "create",
    }
);
words!(
    /// What is logged.
    LogLevel {
        /// What wakes a person.
        Error = "error",
        /// Wrong but survived.
        Warn = "warn",
        /// Changes of state.
        Info = "info",
        /// For developers.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
);

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host(pub IpAddr);

impl Host {
    /// Every IPv4 address of the machine.
    pub const ANY: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

impl Setting for Host {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare {
            "localhost" => Ok(Self(Ipv4Addr::LOCALHOST.into())),
            _ => bare.parse().map(Self).map_err(|_| Expected("an IP address".into())),
        }
    }

    fn to_value(&self) -> Value {
        self.0.to_string().into()
    }
}

/// A range of addresses: `10.0.0.0/8`, `::1`, or `unix` words are not needed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Its first address, or one of them, and how many bits of it count.
    pub fn parts(&self) -> (IpAddr, u32) {
        (self.address, self.bits)
    }

    /// Whether `address` lies in it; an IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Setting for Network {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let wrong = || Expected("an IP address or network such as 10.0.0.0/8".into());
        let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(at, bits)| (at, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }

    fn to_value(&self) -> Value {
        self.to_string().into()
    }
}

/// What uploads made with one static token get when they do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPolicy {
    /// `default_retention`
    pub policy: Policy,
    /// `default_ttl`
    pub ttl: Option<u64>,
}

impl Setting for TokenPolicy {
    fn from_text(_: &str) -> Result<Self, Expected> {
        Err(Expected("a map with default_retention and default_ttl".into()))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Self::from_text("") };
        let policy = entries.get("default_retention").map_or(Ok(Policy::Permanent), Policy::from_value)?;
        let ttl = entries.get("default_ttl").filter(|ttl| !ttl.is_null()).map(u64::from_value).transpose()?;
        Ok(Self { policy, ttl })
    }

    fn to_value(&self) -> Value {
        serde_json::json!({"default_retention": self.policy.word(), "default_ttl": self.ttl})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_their_mask_says() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
        ] {
            let network = Network::from_text(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        assert!(Network::from_text("10.0.0.0/33").is_err());
        assert!(Network::from_text("host").is_err());
    }
}
