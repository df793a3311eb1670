//! List-valued header fields (RFC 9110 §5.6.1): `1#element` as clients and proxies really send it.
//!
//! "A recipient MUST parse and ignore a reasonable number of empty list elements." So `, a ,,b` is `a` and `b`, several
//! lines of one field are one list (RFC 9110 §5.3), and a field without any element is as if it were absent. Not read
//! by this: `Transfer-Encoding` and `Content-Length`, whose every other spelling is refused because it hides requests
//! (RFC 9112 §11.2).

/// The elements of all lines of one field, in order, white space around each removed, none empty. A comma between double
/// quotes belongs to its element.
pub fn members<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines.flat_map(|line| Members { rest: Some(line) }).filter(|member| !member.is_empty())
}

/// The same of one line of text.
pub fn members_of(line: &str) -> impl Iterator<Item = &str> {
    members(std::iter::once(line.as_bytes())).filter_map(|member| std::str::from_utf8(member).ok())
}

/// Whether one of the elements is `wanted`, without case.
pub fn lists<'a>(lines: impl Iterator<Item = &'a [u8]>, wanted: &str) -> bool {
    members(lines).any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// What stands between the commas of one line.
struct Members<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut is_quoted = false;
        let end = rest.iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        });
        let (member, rest) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        self.rest = rest;
        Some(member.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_empty_elements_and_white_space_around_commas_mean_nothing() {
        for (lines, expected) in [
            (&["a"][..], &["a"][..]),
            (&["a,b"], &["a", "b"]),
            (&["a , b"], &["a", "b"]),
            (&["a\t,\t b "], &["a", "b"]),
            (&[",a,,b,"], &["a", "b"]),
            (&[" , ,"], &[]),
            (&[""], &[]),
            (&[], &[]),
            (&["a", "", "b,c"], &["a", "b", "c"]),
            (&["\"a,b\", W/\"c\""], &["\"a,b\"", "W/\"c\""]),
            (&["\"a,b"], &["\"a,b"]),
            (&["k v, l"], &["k v", "l"]),
        ] {
            let found: Vec<&[u8]> = members(lines.iter().map(|line| line.as_bytes())).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|member| member.as_bytes()).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
        assert!(lists([&b"x, , CLOSE"[..]].into_iter(), "close"));
        assert_eq!(members_of("a, b,").collect::<Vec<_>>(), ["a", "b"]);
    }
}
