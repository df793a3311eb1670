//! A share as it is kept and told.
//!
//! ```text
//! d/<user>/<share>  a share                 e/<share>          whose it is
//! c/<hex code>      the share that has it   w/<share>          hash of its password
//! g/<subject>/<share>   the subject had it: it may download its files, uncounted, until it ends
//! ```
//!
//! Must stay true: who changes a share holds its lock, who changes whose a code is holds the code's, taken first. A code
//! belongs to the last share that was made with it: one that expired gives it up.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock;
use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::counter::{hex, number, part};

const SURFACE: SurfaceId = SurfaceId::CloudBackend;
const GRANTS: &str = "g/";

/// Files of an account that any client with the code may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Given out once; stands in the key of its document.
    #[serde(skip)]
    pub id: u64,
    /// Whose; stands there too.
    #[serde(skip)]
    pub user: u64,
    /// What it is found by.
    pub code: String,
    /// What is in it, each file once; some may be gone meanwhile.
    pub files: Vec<u64>,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// How long it lives.
    pub expire_days: u64,
    /// Unix milliseconds.
    pub ends_ms: u64,
    /// Only for accounts.
    pub require_login: bool,
    /// Only for who knows the password, whose hash stands in a document of its own.
    pub has_password: bool,
    /// How often it was had.
    pub count: u64,
    /// How often it may be had.
    pub count_max: u64,
}

/// Who had a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An account.
    Account(u64),
    /// A client without one.
    Address(IpAddr),
}

impl Share {
    /// No other request changes the share until the guard is dropped.
    pub async fn lock(node: &Node, id: u64) -> KeyGuard<'_> {
        node.locks.lock(SURFACE, &owner_key(id)).await
    }

    /// No other request gives this code to a share, or takes it away, until the guard is dropped.
    pub async fn lock_code<'n>(node: &'n Node, code: &str) -> KeyGuard<'n> {
        node.locks.lock(SURFACE, &code_key(code)).await
    }

    /// The share with this number.
    pub fn read(node: &Node, id: u64) -> Option<Self> {
        let user = number(node, &owner_key(id))?;
        parse(&key(user, id), &node.doc(SURFACE, &key(user, id))?)
    }

    /// The share that has this code, live or expired.
    pub fn by_code(node: &Node, code: &str) -> Option<Self> {
        Self::read(node, number(node, &code_key(code))?)
    }

    /// All of an account, by number.
    pub fn all_of(node: &Node, user: u64) -> Vec<Self> {
        let docs = node.docs_under(SURFACE, &format!("d/{}/", part(user)));
        docs.iter().filter_map(|(key, text)| parse(key, text)).collect()
    }

    /// Its time is over.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        now_ms >= self.ends_ms
    }

    /// It was had as often as it may be.
    pub fn is_exhausted(&self) -> bool {
        self.count >= self.count_max
    }

    /// PHC string of its password.
    pub fn password(&self, node: &Node) -> Option<String> {
        String::from_utf8(node.doc(SURFACE, &password_key(self.id))?.to_vec()).ok()
    }

    /// Whether `subject` had it.
    pub fn is_granted(&self, node: &Node, subject: Subject) -> bool {
        node.doc(SURFACE, &subject.key(self.id)).is_some()
    }

    /// The drop object (CONTRACT.md §A6). Its password is never told.
    pub fn told(&self, now_ms: u64) -> Value {
        json!({
            "id": self.id,
            "code": self.code,
            "expire_days": self.expire_days,
            "expire_time": clock::iso(self.ends_ms) + "Z",
            "is_expired": self.is_expired(now_ms),
            "require_login": self.require_login,
            "download_count": self.count,
            "max_download_count": self.count_max,
            "password": "",
            "has_password": self.has_password,
            "is_deleted": false,
            "created_at": clock::iso(self.created_ms) + "Z",
            "user_id": self.user,
        })
    }

    /// Adds everything a new share has to an edit.
    pub fn create(&self, phc: Option<&str>, edit: Edit) -> Edit {
        let edit = self.write(edit).write(SURFACE, owner_key(self.id), self.user.to_string()).write(
            SURFACE,
            code_key(&self.code),
            self.id.to_string(),
        );
        match phc {
            Some(phc) => edit.write(SURFACE, password_key(self.id), phc),
            None => edit,
        }
    }

    /// Adds one access more to an edit, and what `subject` may from now on.
    pub fn count(&mut self, subject: Option<Subject>, edit: Edit) -> Edit {
        self.count += 1;
        let edit = self.write(edit);
        match subject {
            Some(subject) => edit.write(SURFACE, subject.key(self.id), "1"),
            None => edit,
        }
    }

    /// Adds its end to an edit; its grants count no more, and are swept away. The lock of its code is held.
    pub fn remove(&self, node: &Node, edit: Edit) -> Edit {
        let edit = edit
            .erase(SURFACE, key(self.user, self.id))
            .erase(SURFACE, owner_key(self.id))
            .erase(SURFACE, password_key(self.id));
        let has_code = number(node, &code_key(&self.code)) == Some(self.id);
        if has_code { edit.erase(SURFACE, code_key(&self.code)) } else { edit }
    }

    fn write(&self, edit: Edit) -> Edit {
        let text = serde_json::to_vec(self).expect("a share has only string keys");
        edit.write(SURFACE, key(self.user, self.id), text)
    }
}

impl Subject {
    /// Shares it had, live ones.
    pub fn shares(self, node: &Node, now_ms: u64) -> Vec<Share> {
        let prefix = self.prefix();
        let granted = node.docs_under(SURFACE, &prefix);
        let ids = granted.iter().filter_map(|(key, _)| u64::from_str_radix(key.strip_prefix(&prefix)?, 16).ok());
        ids.filter_map(|id| Share::read(node, id)).filter(|share| !share.is_expired(now_ms)).collect()
    }

    fn prefix(self) -> String {
        match self {
            Self::Account(id) => format!("{GRANTS}u{}/", part(id)),
            Self::Address(address) => format!("{GRANTS}a{address}/"),
        }
    }

    fn key(self, share: u64) -> String {
        self.prefix() + &part(share)
    }
}

/// Adds the end of all grants to an edit whose share is gone or over; how many.
pub fn erase_ended_grants(node: &Node, mut edit: Edit) -> (Edit, usize) {
    let now_ms = node.clock.now_ms();
    let mut ended = 0;
    for (key, _) in node.docs_under(SURFACE, GRANTS) {
        let id = key.rsplit('/').next().and_then(|id| u64::from_str_radix(id, 16).ok());
        let share = id.and_then(|id| Share::read(node, id));
        if share.is_none_or(|share| share.is_expired(now_ms)) {
            edit = edit.erase(SURFACE, key);
            ended += 1;
        }
    }
    (edit, ended)
}

fn key(user: u64, id: u64) -> String {
    format!("d/{}/{}", part(user), part(id))
}

fn owner_key(id: u64) -> String {
    format!("e/{}", part(id))
}

fn code_key(code: &str) -> String {
    format!("c/{}", hex(code))
}

fn password_key(id: u64) -> String {
    format!("w/{}", part(id))
}

fn parse(key: &str, text: &[u8]) -> Option<Share> {
    let mut numbers = key.split('/').skip(1).map(|number| u64::from_str_radix(number, 16).ok());
    let (user, id) = (numbers.next()??, numbers.next()??);
    match serde_json::from_slice::<Share>(text) {
        Ok(share) => Some(Share { id, user, ..share }),
        Err(error) => {
            tracing::error!(share = id, %error, "a share's document cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalogue::Snapshot;
    use crate::config::Config;

    fn share(id: u64, code: &str, ends_ms: u64) -> Share {
        Share {
            id,
            user: 7,
            code: code.into(),
            files: vec![1, 2],
            created_ms: 5,
            expire_days: 1,
            ends_ms,
            require_login: false,
            has_password: true,
            count: 0,
            count_max: 1,
        }
    }

    #[tokio::test]
    async fn a7_a_code_belongs_to_the_last_share_that_took_it() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let later = node.clock.now_ms() + 60_000;
        let (old, new) = (share(1, "x", 5), share(2, "x", later));
        node.edit(old.create(Some("phc"), Edit::default())).await.unwrap();
        assert_eq!((Share::by_code(&node, "x"), old.password(&node)), (Some(old.clone()), Some("phc".into())));
        node.edit(new.create(None, Edit::default())).await.unwrap();
        assert_eq!((Share::by_code(&node, "x"), Share::by_code(&node, "X")), (Some(new.clone()), None));
        assert_eq!(Share::all_of(&node, 7), [old.clone(), new.clone()]);
        assert_eq!(Share::all_of(&node, 8), []);
        node.edit(old.remove(&node, Edit::default())).await.unwrap();
        assert_eq!(Share::by_code(&node, "x"), Some(new.clone()), "it is another's by now");
        assert_eq!((Share::read(&node, 1), old.password(&node)), (None, None));
        node.edit(new.remove(&node, Edit::default())).await.unwrap();
        assert_eq!(Share::by_code(&node, "x"), None);
    }

    #[tokio::test]
    async fn a6_grants_end_with_their_share() {
        let node = Node::new(Arc::new(Config::defaults()), Snapshot::of_memory());
        let now = node.clock.now_ms();
        let (account, address) = (Subject::Account(7), Subject::Address(IpAddr::from([1, 2, 3, 4])));
        let mut edit = Edit::default();
        let shares = [share(1, "a", now + 60_000), share(2, "b", now), share(3, "c", now + 60_000)];
        for mut share in shares.clone() {
            edit = share.create(None, edit);
            edit = share.count(Some(account), edit);
            assert!(share.is_exhausted());
        }
        node.edit(edit).await.unwrap();
        let ids = |subject: Subject| subject.shares(&node, now).iter().map(|share| share.id).collect::<Vec<_>>();
        assert_eq!((ids(account), ids(address), ids(Subject::Account(8))), (vec![1, 3], vec![], vec![]));
        assert!(shares[0].is_granted(&node, account) && !shares[0].is_granted(&node, address));
        node.edit(shares[2].remove(&node, Edit::default())).await.unwrap();
        assert_eq!(ids(account), [1]);
        let (edit, ended) = erase_ended_grants(&node, Edit::default());
        node.edit(edit).await.unwrap();
        assert_eq!((ended, node.docs_under(SURFACE, GRANTS).len()), (2, 1));
    }
}
