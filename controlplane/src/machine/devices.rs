//! Which device holds an address: for listeners that are bound to both (`network.bind_device`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::netlink::{self, NetlinkError};

/// A listener cannot be bound to a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The kernel does not tell.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The address is not there, or not usable yet.
    #[error("no interface has {0}, which server.host names; network.bind_device binds to the interface that has it")]
    Nowhere(IpAddr),
}

/// Address → device name, for each of `addresses`, as it is now.
pub async fn holding(addresses: &[IpAddr]) -> Result<BTreeMap<IpAddr, String>, DeviceError> {
    let (netlink, _changes) = netlink::open()?;
    let (links, found) = (netlink.links().await?, netlink.addresses().await?);
    let name = |ip: IpAddr| {
        let address = found.iter().find(|address| address.ip == ip)?;
        links.iter().find(|link| link.index == address.link).map(|link| link.name.clone())
    };
    addresses.iter().map(|ip| Ok((*ip, name(*ip).ok_or(DeviceError::Nowhere(*ip))?))).collect()
}
