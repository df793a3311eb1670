//! The kernel's links and addresses over one netlink socket, and word when they change.
//!
//! Must stay true: the socket joins the event groups before the first question is asked, so no change falls between the
//! answer and the first event.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};

/// What may change about an interface.
const GROUPS: [MulticastGroup; 3] = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
/// One `ip addr add` is several events: they are answered by one look.
const SETTLE: Duration = Duration::from_millis(20);

/// A link as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Stays with the link for as long as it lives, whatever its name.
    pub index: u32,
    /// `eth0`
    pub name: String,
    /// Administratively up, with a carrier.
    pub is_up: bool,
    /// `lo`
    pub is_loopback: bool,
    /// `None`: it counts nothing.
    pub counters: Option<Counters>,
}

/// Bytes since the link was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// [`Link::index`].
    pub link: u32,
    /// The address itself.
    pub ip: IpAddr,
}

/// Why the kernel's view is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// No socket, or no membership in its groups.
    #[error("open a netlink socket: {0}")]
    Open(#[from] std::io::Error),
    /// A question was refused.
    #[error("ask netlink: {0}")]
    Ask(#[from] rtnetlink::Error),
    /// The socket closed.
    #[error("the netlink socket closed")]
    Closed,
}

/// Opens a socket and joins its groups; the socket's reader is a task that ends with both halves.
pub fn open() -> Result<(Netlink, Changes), NetlinkError> {
    let (connection, handle, events) = new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    Ok((Netlink { handle }, Changes { events: events.map(drop).boxed(), is_pending: false }))
}

/// Tells when to look again.
pub struct Changes {
    events: BoxStream<'static, ()>,
    /// An event was taken and not told yet: a wait that was given up must not lose it.
    is_pending: bool,
}

impl Changes {
    /// Waits until something about links or addresses changed. May be dropped and asked again.
    pub async fn next(&mut self) -> Result<(), NetlinkError> {
        if !self.is_pending {
            self.events.next().await.ok_or(NetlinkError::Closed)?;
            self.is_pending = true;
        }
        tokio::time::sleep(SETTLE).await;
        while self.events.next().now_or_never().flatten().is_some() {}
        self.is_pending = false;
        Ok(())
    }
}

/// Answers what there is now.
pub struct Netlink {
    handle: Handle,
}

impl Netlink {
    /// Every link there is, with its counters.
    pub async fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        let messages: Vec<LinkMessage> = self.handle.link().get().execute().try_collect().await?;
        Ok(messages.iter().filter_map(link).collect())
    }

    /// Every address that can be listened on, in the kernel's order: the primary ones of a link come first.
    pub async fn addresses(&self) -> Result<Vec<Address>, NetlinkError> {
        let messages: Vec<AddressMessage> = self.handle.address().get().execute().try_collect().await?;
        Ok(messages.iter().filter_map(address).collect())
    }
}

fn link(message: &LinkMessage) -> Option<Link> {
    let flags = message.header.flags;
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let counters = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(Counters { sent: stats.tx_bytes, received: stats.rx_bytes }),
        _ => None,
    });
    Some(Link {
        index: message.header.index,
        name,
        is_up: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        is_loopback: flags.contains(LinkFlags::Loopback),
        counters,
    })
}

/// `None`: not usable yet, or never; or a temporary IPv6 address, which is for asking, not for answering.
fn address(message: &AddressMessage) -> Option<Address> {
    let flags = message.header.flags;
    if flags.intersects(AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed) {
        return None;
    }
    // On a point-to-point link the two differ, and the local one is ours.
    let pick = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    let local = pick(|attribute| if let AddressAttribute::Local(ip) = attribute { Some(*ip) } else { None });
    let named = pick(|attribute| if let AddressAttribute::Address(ip) = attribute { Some(*ip) } else { None });
    let ip = local.or(named)?;
    // The bit that says "secondary" of IPv4 says "temporary" of IPv6.
    let is_temporary = ip.is_ipv6() && flags.contains(AddressHeaderFlags::Secondary);
    (!is_temporary).then_some(Address { link: message.header.index, ip })
}
