//! What a login provider tells about a person, made to fit the columns.

use super::PeopleError;
use super::fit::{cut, fitting, name_fits, url};

/// Who signs in (easytransfer/CONTRACT.md §6.1, Claims).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Who it is to the provider: never changes, unique.
    pub subject: String,
    /// What it is called.
    pub username: String,
    /// Its name in full.
    pub display_name: Option<String>,
    /// Its address.
    pub email: Option<String>,
    /// Its picture.
    pub avatar_url: Option<String>,
    /// Whether the provider calls it an administrator.
    pub is_admin: bool,
    /// Names of all groups it is in.
    pub groups: Vec<String>,
}

impl Profile {
    /// The same with texts that every database takes. A subject or a group is what it is or nothing: cut short it would
    /// be another person's.
    pub(super) fn fitted(&self) -> Result<Self, PeopleError> {
        let mut groups: Vec<String> = self.groups.iter().filter(|name| name_fits(name)).cloned().collect();
        // One order for all, so that two logins with the same new groups do not wait for each other.
        groups.sort_unstable();
        groups.dedup();
        let display = |text: &Option<String>| text.as_deref().map(cut).filter(|text| !text.is_empty());
        Ok(Self {
            subject: fitting("subject", &self.subject)?.to_owned(),
            username: cut(&self.username),
            display_name: display(&self.display_name),
            email: display(&self.email),
            avatar_url: self.avatar_url.as_deref().and_then(url),
            is_admin: self.is_admin,
            groups,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_fits_the_columns_or_is_refused() {
        let long = "ä".repeat(300);
        let profile = Profile {
            subject: "s".into(),
            username: format!("a\0{long}"),
            display_name: Some("\0".into()),
            email: Some(String::new()),
            avatar_url: Some("x".repeat(3000)),
            is_admin: true,
            groups: [&long, "", "b", "a", "b", "c\0"].map(str::to_owned).to_vec(),
        };
        let fitted = profile.fitted().unwrap();
        assert_eq!(fitted.username, format!("a{}", "ä".repeat(254)));
        assert_eq!((fitted.display_name, fitted.email, fitted.avatar_url), (None, None, None));
        assert_eq!((fitted.groups, fitted.is_admin), (vec!["a".to_owned(), "b".to_owned()], true));
        for subject in ["", "a\0", &long] {
            let profile = Profile { subject: subject.into(), ..Profile::default() };
            assert_eq!(profile.fitted(), Err(PeopleError::Unfit { field: "subject", max: 255 }));
        }
    }
}
