//! The fields of a form (CONTRACT.md §B4): names without case, of a repeated one the first counts.

use super::key::Key;
use super::refusal::Refusal;
use super::stored::Headers;

/// Longest name of a field.
const NAME_BYTES_MAX: usize = 8 * 1024;

/// What stands before `file`.
#[derive(Debug)]
pub struct Fields(Vec<(String, String)>);

/// What a form is signed with.
#[derive(Debug, PartialEq, Eq)]
pub struct Credentials<'f> {
    /// `OSSAccessKeyId`
    pub access_key_id: &'f str,
    /// `policy`, as it was sent: this text is what is signed.
    pub policy: &'f str,
    /// `Signature`
    pub signature: &'f str,
}

impl Fields {
    /// In the order they came.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// CONTRACT.md §B4 check 2: names.
    pub fn check_names(&self) -> Result<(), Refusal> {
        let too_long = self.0.iter().any(|(name, _)| name.len() > NAME_BYTES_MAX);
        if too_long { Err(Refusal::FieldTooLong) } else { Ok(()) }
    }

    /// Checks 4 and 5: all three, or it is not signed.
    pub fn credentials(&self) -> Result<Credentials<'_>, Refusal> {
        match ["OSSAccessKeyId", "policy", "Signature"].map(|name| self.get(name)) {
            [Some(access_key_id), Some(policy), Some(signature)] => {
                Ok(Credentials { access_key_id, policy, signature })
            }
            [None, None, None] => {
                Err(Refusal::AccessDenied("You have no right to access this object because of bucket acl."))
            }
            _ => Err(Refusal::InvalidArgument(
                "Bucket POST must contain all of the fields OSSAccessKeyId, policy and Signature, or none.",
            )),
        }
    }

    /// The key, with the name of the file in it where it asks for that (CONTRACT.md §B4 check 11).
    pub fn key(&self, filename: Option<&str>) -> Result<Key, Refusal> {
        let template = self.get("key").ok_or(Refusal::NoKey)?;
        Key::new(template.replace("${filename}", filename.unwrap_or_default()))
    }

    /// Status of a success.
    pub fn success_status(&self) -> u16 {
        match self.get("success_action_status") {
            Some("200") => 200,
            Some("201") => 201,
            _ => 204,
        }
    }

    /// `x-oss-forbid-overwrite`
    pub fn forbids_overwrite(&self) -> bool {
        self.get("x-oss-forbid-overwrite").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// What is kept with the object; `part_type` is the content type of the part `file`.
    pub fn headers(&self, part_type: Option<&str>) -> Result<Headers, Refusal> {
        let typed = |text: Option<&str>| text.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let content_type = typed(self.get("x-oss-content-type"))
            .or_else(|| typed(part_type))
            .or_else(|| typed(self.get("Content-Type")));
        let others = self.0.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Headers::new(content_type.as_deref().map(str::as_bytes), others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn b4_names_have_no_case_and_the_first_counts() {
        let fields = fields(&[("Key", "a"), ("KEY", "b"), ("signature", "s")]);
        assert_eq!((fields.get("key"), fields.get("Signature"), fields.get("policy")), (Some("a"), Some("s"), None));
        assert!(fields.check_names().is_ok());
        let long = Fields::new(vec![("n".repeat(NAME_BYTES_MAX + 1), String::new())]);
        assert_eq!(long.check_names(), Err(Refusal::FieldTooLong));
    }

    #[test]
    fn b4_checks_4_and_5() {
        let all = [("OSSAccessKeyId", "i"), ("policy", "p"), ("signature", "s")];
        let credentials = Credentials { access_key_id: "i", policy: "p", signature: "s" };
        assert_eq!(fields(&all).credentials(), Ok(credentials));
        assert!(matches!(fields(&[("key", "k")]).credentials(), Err(Refusal::AccessDenied(_))));
        for missing in 0..3 {
            let mut some = all.to_vec();
            some.remove(missing);
            assert!(matches!(fields(&some).credentials(), Err(Refusal::InvalidArgument(_))), "{some:?}");
        }
    }

    #[test]
    fn b4_the_name_of_the_file_goes_into_the_key() {
        for (template, filename, key) in [
            ("u1/a", Some("x"), Some("u1/a")),
            ("u1/${filename}", Some("报告.pdf"), Some("u1/报告.pdf")),
            ("u1/${filename}", None, Some("u1/")),
            ("${filename}", Some("/etc/passwd"), None),
            ("", Some("x"), None),
        ] {
            let key = key.map(|key| Key::new(key).unwrap()).ok_or(Refusal::InvalidObjectName);
            assert_eq!(fields(&[("key", template)]).key(filename), key, "{template}");
        }
        assert_eq!(fields(&[]).key(None), Err(Refusal::NoKey));
    }

    #[test]
    fn b4_precedence_of_content_types() {
        let all = [("x-oss-content-type", "a/1"), ("content-type", "a/3")];
        for (pairs, part, expected) in [
            (&all[..], Some("a/2"), "a/1"),
            (&all[1..], Some("a/2"), "a/2"),
            (&all[1..], None, "a/3"),
            (&all[1..], Some(" "), "a/3"),
            (&[], None, "application/octet-stream"),
        ] {
            assert_eq!(fields(pairs).headers(part).unwrap().content_type(), expected);
        }
    }

    #[test]
    fn b4_other_statuses_are_204() {
        for (value, status) in [("200", 200), ("201", 201), ("204", 204), ("999", 204), ("", 204), ("2000", 204)] {
            assert_eq!(fields(&[("success_action_status", value)]).success_status(), status, "{value}");
        }
        assert_eq!(fields(&[]).success_status(), 204);
    }
}
