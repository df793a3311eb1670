//! What clients say about a file, made fit to keep and to show again. Names are for people: no path is ever made of one.

const FILENAME_BYTES_MAX: usize = 255;

/// `name` as far as it fits, cut on a character boundary (PROMISES.md §4).
pub fn display_name(name: &str) -> String {
    name[..name.floor_char_boundary(FILENAME_BYTES_MAX)].to_owned()
}

/// `type/subtype` of tokens, with parameters of visible ASCII: what may stand in `Content-Type` (PROMISES.md §5).
pub fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subtype) = essence.trim().split_once('/').unwrap_or(("", ""));
    let plain = parameters.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    text.len() <= 255 && token(kind) && token(subtype) && plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_tokens() {
        for text in ["text/plain", "application/vnd.a+b", "text/html; charset=utf-8"] {
            assert!(is_media_type(text), "{text}");
        }
        for text in ["", "text", "/", "a/b/c", "te xt/a", "text/a\r\nX: y", "text/ä", "a/b; \u{1}"] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }

    #[test]
    fn names_are_cut_on_a_character_boundary() {
        assert_eq!(display_name(&"é".repeat(200)).len(), 254);
        assert_eq!(display_name("a/b"), "a/b");
    }
}
