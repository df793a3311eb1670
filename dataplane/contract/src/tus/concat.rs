//! `Upload-Concat` (TUS.md §A11).

use super::Refusal;

/// Parts one final may have (T-CON-9).
pub const PARTS_MAX: usize = 256;

/// What an upload is in a concatenation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Concat {
    /// Nothing: an upload of its own.
    #[default]
    No,
    /// A part.
    Partial,
    /// The whole: the URLs of its parts in order, as written. Never empty, none of them empty or with a space.
    Final(Vec<String>),
}

impl Concat {
    /// `partial`, or `final;<url> <url> …`; every other value is 400 (T-CON-1).
    pub fn parse(value: &[u8]) -> Result<Self, Refusal> {
        if value == b"partial" {
            return Ok(Self::Partial);
        }
        let malformed = || Refusal::bad("Upload-Concat is neither 'partial' nor 'final;' and URLs, one space between");
        let urls = value.strip_prefix(b"final;").ok_or_else(malformed)?;
        let mut parts = Vec::new();
        for url in urls.split(|byte| *byte == b' ') {
            if url.is_empty() || !url.iter().all(u8::is_ascii_graphic) {
                return Err(malformed());
            }
            if parts.len() == PARTS_MAX {
                return Err(Refusal::bad("Upload-Concat names too many parts"));
            }
            parts.push(String::from_utf8(url.to_vec()).map_err(|_| malformed())?);
        }
        Ok(Self::Final(parts))
    }

    /// The field exactly as received (T-CON-6): the grammar leaves only one way to write each value.
    pub fn raw(&self) -> Option<String> {
        match self {
            Self::No => None,
            Self::Partial => Some("partial".to_owned()),
            Self::Final(parts) => Some(format!("final;{}", parts.join(" "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_and_final_are_read_and_written_back_exactly() {
        let many = format!("final;{}", vec!["/tus/a"; PARTS_MAX].join(" "));
        for text in ["partial", "final;/tus/a", "final;/tus/a http://h/tus/b /tus/a", many.as_str()] {
            assert_eq!(Concat::parse(text.as_bytes()).unwrap().raw().as_deref(), Some(text));
        }
        assert_eq!(Concat::parse(b"final;a b a"), Ok(Concat::Final(["a", "b", "a"].map(String::from).to_vec())));
    }

    #[test]
    fn every_other_value_is_refused() {
        let too_many = format!("final;{}", vec!["/tus/a"; PARTS_MAX + 1].join(" "));
        for text in [
            "",
            "Partial",
            "partial ",
            "partial;",
            "final",
            "final;",
            "final; ",
            "final; a",
            "final;a  b",
            "final;a ",
            "Final;a",
            "final;a\tb",
            "final;\u{e9}",
            too_many.as_str(),
        ] {
            assert_eq!(Concat::parse(text.as_bytes()).unwrap_err().status, 400, "{text:?}");
        }
    }
}
