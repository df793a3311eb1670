//! An account: document `a/<id>`, found by its name through `n/<hex username>` and by its address through
//! `m/<hex address>`; the hash of its password stands apart in `p/<id>`, so that no account that is shown, logged or handed
//! on has it.
//!
//! Must stay true: who changes an account holds its lock ([`Account::lock`]); who changes whose a name or an address is
//! holds the counter of accounts too, so both stay unique; a name stays taken when its account is gone, for it is the
//! beginning of the keys of objects.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::counter::{hex, number, part};
use crate::surface::cloudbackend::drive;
use crate::surface::cloudbackend::settings::CloudBackend;

const SURFACE: SurfaceId = SurfaceId::CloudBackend;

/// A user who may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Given out once.
    pub id: u64,
    /// Never changes: it begins the keys of the account's objects.
    pub username: String,
    /// What people read.
    pub display_name: String,
    /// Its domain in lower case; empty: there is none.
    pub email: String,
    /// `false`: neither a password nor a token of it counts.
    pub is_active: bool,
    /// Bytes its files may have together.
    pub quota: u64,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// Rises when it is disabled and with its password: what was signed for one before counts no more. Documents of earlier
    /// versions have none.
    #[serde(default)]
    pub generation: u64,
}

impl Account {
    /// No other request changes the account until the guard is dropped.
    pub async fn lock(node: &Node, id: u64) -> KeyGuard<'_> {
        node.locks.lock(SURFACE, &key(id)).await
    }

    /// The account with this number.
    pub fn read(node: &Node, id: u64) -> Option<Self> {
        let text = node.doc(SURFACE, &key(id))?;
        match serde_json::from_slice(&text) {
            Ok(account) => Some(account),
            Err(error) => {
                tracing::error!(id, %error, "an account's document cannot be read");
                None
            }
        }
    }

    /// The account with this name.
    pub fn by_name(node: &Node, username: &str) -> Option<Self> {
        Self::read(node, number(node, &name_key(username))?)
    }

    /// All of them, by number.
    pub fn all(node: &Node) -> Vec<Self> {
        let docs = node.docs_under(SURFACE, "a/");
        docs.iter().filter_map(|(_, text)| serde_json::from_slice(text).ok()).collect()
    }

    /// Whether the name is taken, or was.
    pub fn is_name_taken(node: &Node, username: &str) -> bool {
        node.doc(SURFACE, &name_key(username)).is_some()
    }

    /// Whose address it is; given with its domain in lower case.
    pub fn id_by_email(node: &Node, email: &str) -> Option<u64> {
        number(node, &email_key(email))
    }

    /// PHC string of its password.
    pub fn password(node: &Node, id: u64) -> Option<String> {
        String::from_utf8(node.doc(SURFACE, &password_key(id))?.to_vec()).ok()
    }

    /// What the keys of its objects begin with.
    pub fn prefix(&self) -> String {
        format!("{}/", self.username)
    }

    /// Whether the configuration names it among the administrators.
    pub fn is_admin(&self, cloud: &CloudBackend) -> bool {
        cloud.admins.contains(&self.username)
    }

    /// As it is told (CONTRACT.md §A3).
    pub fn told(&self, node: &Node, cloud: &CloudBackend) -> Value {
        json!({
            "id": self.id,
            "username": self.username,
            "display_name": self.display_name,
            "email": self.email,
            "is_active": self.is_active,
            "permission": if self.is_admin(cloud) { "admin" } else { "user" },
            "quota": self.quota,
            "used_space": drive::used(node, self.id),
        })
    }

    /// Adds its document to an edit.
    pub fn write(&self, edit: Edit) -> Edit {
        edit.write(
            SURFACE,
            key(self.id),
            serde_json::to_vec(self).expect("a struct of texts and numbers is always JSON"),
        )
    }

    /// Adds everything a new account has to an edit.
    pub fn create(&self, phc: &str, edit: Edit) -> Edit {
        let edit = edit.write(SURFACE, name_key(&self.username), self.id.to_string()).write(
            SURFACE,
            email_key(&self.email),
            self.id.to_string(),
        );
        edit_password(self.id, phc, self.write(edit))
    }

    /// Adds another password to an edit: what was signed for the account before ends.
    pub fn set_password(&mut self, phc: &str, edit: Edit) -> Edit {
        self.generation += 1;
        edit_password(self.id, phc, self.write(edit))
    }

    /// Adds whether it counts to an edit. What was signed for it before stays ended when it counts again.
    pub fn set_active(&mut self, is_active: bool, edit: Edit) -> Edit {
        self.generation += u64::from(!is_active);
        self.is_active = is_active;
        self.write(edit)
    }

    /// Adds another address to an edit.
    pub fn set_email(&mut self, email: &str, edit: Edit) -> Edit {
        let edit = edit.erase(SURFACE, email_key(&self.email)).write(SURFACE, email_key(email), self.id.to_string());
        email.clone_into(&mut self.email);
        self.write(edit)
    }

    /// Adds its end to an edit; its name stays taken.
    pub fn remove(&self, edit: Edit) -> Edit {
        edit.erase(SURFACE, key(self.id)).erase(SURFACE, password_key(self.id)).erase(SURFACE, email_key(&self.email))
    }
}

fn key(id: u64) -> String {
    format!("a/{}", part(id))
}

fn edit_password(id: u64, phc: &str, edit: Edit) -> Edit {
    edit.write(SURFACE, password_key(id), phc)
}

fn password_key(id: u64) -> String {
    format!("p/{}", part(id))
}

fn name_key(username: &str) -> String {
    format!("n/{}", hex(username))
}

fn email_key(email: &str) -> String {
    format!("m/{}", hex(email))
}
