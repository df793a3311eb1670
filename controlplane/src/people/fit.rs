//! Which texts the columns hold, on every dialect: PostgreSQL takes no NUL, MySQL cuts or refuses what is too long.

use super::PeopleError;

/// Characters of a name, an address or a subject.
const TEXT_MAX: usize = 255;
/// Characters of a URL: more no browser takes.
const URL_MAX: usize = 2048;
/// Characters of a description.
const DESCRIPTION_MAX: usize = 4096;

/// `text`, when it can be a name.
pub(super) fn fitting<'t>(field: &'static str, text: &'t str) -> Result<&'t str, PeopleError> {
    if name_fits(text) { Ok(text) } else { Err(PeopleError::Unfit { field, max: TEXT_MAX }) }
}

/// `text`, when it can be a description; empty is fine.
pub(super) fn description(text: &str) -> Result<&str, PeopleError> {
    if text.chars().count() <= DESCRIPTION_MAX && !text.contains('\0') {
        Ok(text)
    } else {
        Err(PeopleError::Unfit { field: "description", max: DESCRIPTION_MAX })
    }
}

/// Whether `text` can be a name.
pub(super) fn name_fits(text: &str) -> bool {
    (1..=TEXT_MAX).contains(&text.chars().count()) && !text.contains('\0')
}

/// As much of a text as there is room for: for display only.
pub(super) fn cut(text: &str) -> String {
    text.chars().filter(|char| *char != '\0').take(TEXT_MAX).collect()
}

/// `text`, when it can be shown as a URL.
pub(super) fn url(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.chars().count() <= URL_MAX && !text.contains('\0');
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_or_are_refused() {
        let long = "ä".repeat(255);
        for (text, fits) in [("a", true), (&long, true), ("", false), ("a\0b", false), (&format!("{long}b"), false)] {
            assert_eq!(fitting("name", text).is_ok(), fits, "{text}");
        }
        for (text, fits) in [("", true), ("a\0b", false), (&long.repeat(17), false)] {
            assert_eq!(description(text).is_ok(), fits, "{text}");
        }
        assert_eq!(cut(&format!("a\0{long}")).chars().count(), 255);
    }
}
