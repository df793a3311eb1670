//! What a link or a form policy that the node gave out rests on: an account as it was then, and for a link the record of the
//! file and the share it was asked for by. It is part of what is signed, so a client cannot take it off.
//!
//! Must stay true: what rests on an account ends when that is disabled, deleted or gets another password, and stays ended
//! when the account is enabled again; a link ends with its record and with its share.

use std::fmt;
use std::str::FromStr;

use super::drive;
use super::drop;
use super::oss::key::Key;
use super::user::Account;
use crate::node::Node;

/// The signed parameter of a link that says it.
pub const PARAMETER: &str = "security-token";

/// Written as numbers with points between: account, generation, record, share; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    account: u64,
    generation: u64,
    file: u64,
    share: u64,
}

impl Basis {
    /// Of a form of an account.
    pub fn of_account(account: &Account) -> Self {
        Self { account: account.id, generation: account.generation, file: 0, share: 0 }
    }

    /// Of a link to a file of an account, asked for with its own token or by a share.
    pub fn of_file(account: &Account, file: u64, share: Option<u64>) -> Self {
        Self { file, share: share.unwrap_or(0), ..Self::of_account(account) }
    }

    /// Whose it is; of a share: any client that has its link.
    pub fn account(self) -> Option<u64> {
        (self.share == 0).then_some(self.account)
    }

    /// Whether everything is still there. Without a `now_ms` a share's time was right when the request began.
    pub fn holds(self, node: &Node, key: &Key, now_ms: Option<u64>) -> bool {
        let account = Account::read(node, self.account);
        let is_same = account.is_some_and(|account| account.is_active && account.generation == self.generation);
        let has_record = self.file == 0
            || drive::record(node, self.account, self.file).is_some_and(|record| record.key() == Some(key));
        let has_share = self.share == 0 || drop::gives(node, self.share, self.file, now_ms);
        is_same && has_record && has_share
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.account, self.generation, self.file, self.share)
    }
}

impl FromStr for Basis {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Vec<u64> = text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_no_number| ())?;
        match numbers[..] {
            [account, generation, file, share] => Ok(Self { account, generation, file, share }),
            _ => Err(()),
        }
    }
}
