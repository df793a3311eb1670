//! The static tokens of the configuration, compared in constant time.
//!
//! Must stay true: a credential is compared with every token, found or not; the tokens themselves are not kept.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::Config;
use crate::core::{Secret, TokenPolicy};
use crate::retention::receiver::Who;

/// Every token that is valid at this moment.
#[derive(Debug, Default)]
pub struct Keys(Vec<Key>);

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    digest: [u8; 32],
    /// Whose deliveries add up.
    pub who: Who,
    /// What uploads made with it get when they do not say.
    pub policy: Option<TokenPolicy>,
    /// It may administer people (`auth.admin_tokens`).
    pub is_admin: bool,
}

impl Keys {
    /// The tokens of `config`, or `first` when it names none and people cannot sign in either: an empty list never opens
    /// the node (easytransfer/CONTRACT.md §1.3).
    pub fn of(config: &Config, first: Option<&Secret>) -> Self {
        let named = config.auth.tokens.iter().chain(first.filter(|_| config.auth.tokens.is_empty()));
        let key = |secret: &Secret| Key {
            digest: digest(secret.expose()),
            who: Who::credential(secret.expose()),
            policy: config.retention.token_policies.get(secret).copied(),
            is_admin: config.auth.admin_tokens.contains(secret),
        };
        Self(named.map(key).collect())
    }

    /// The token that `presented` is.
    pub fn find(&self, presented: &str) -> Option<&Key> {
        let presented = digest(presented);
        // Every token is compared, found or not: the time tells nothing about which one it was.
        let (mut found, mut place) = (Choice::from(0), 0u64);
        for (index, key) in self.0.iter().enumerate() {
            let equal = key.digest.ct_eq(&presented);
            place = u64::conditional_select(&place, &(index as u64), equal);
            found |= equal;
        }
        bool::from(found).then(|| &self.0[place as usize])
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_1_3_an_empty_list_falls_back_to_the_first_token() {
        let mut config = Config::defaults();
        let first = Secret::new("first");
        assert!(Keys::of(&config, Some(&first)).find("first").is_some());
        config.auth.tokens = vec![Secret::new("one"), Secret::new("two")];
        config.auth.admin_tokens = vec![Secret::new("two")];
        let keys = Keys::of(&config, Some(&first));
        assert!(keys.find("first").is_none() && keys.find("on").is_none() && keys.find("").is_none());
        assert_eq!((keys.find("one").unwrap().is_admin, keys.find("two").unwrap().is_admin), (false, true));
    }
}
