//! What a share is found by: text that people type, upper and lower case apart.

/// Letters and digits, none of which needs to be escaped anywhere.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Whether an account may choose it.
pub fn is_fit(text: &str, chars_max: usize) -> bool {
    let is_visible = |letter: char| !letter.is_whitespace() && !letter.is_control();
    (1..=chars_max).contains(&text.chars().count()) && text.chars().all(is_visible)
}

/// A code that cannot be guessed: each letter as likely as any other.
pub fn draw(chars: usize) -> String {
    let mut code = String::with_capacity(chars);
    while code.len() < chars {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the kernel's random source does not fail once the machine is up");
        // Bytes past the last whole round of the letters would make the first ones likelier.
        let fair = bytes.into_iter().filter(|byte| *byte < 248).map(|byte| char::from(LETTERS[usize::from(byte) % 62]));
        code.extend(fair.take(chars - code.len()));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a6_codes_people_may_choose() {
        for (text, fits) in [
            ("a", true),
            ("1234567890", true),
            ("12345678901", false),
            ("分享码一二三四五六七", true),
            ("a/b%2f..", true),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("a\u{3000}b", false),
            ("a\0", false),
            ("a\u{85}", false),
        ] {
            assert_eq!(is_fit(text, 10), fits, "{text:?}");
        }
    }

    #[test]
    fn a6_codes_the_server_draws() {
        for chars in [0, 1, 8, 64] {
            let code = draw(chars);
            assert!(code.len() == chars && code.bytes().all(|byte| LETTERS.contains(&byte)), "{code}");
        }
        let letters = draw(20_000);
        for letter in LETTERS {
            let count = letters.bytes().filter(|other| other == letter).count();
            assert!((200..=450).contains(&count), "{} came {count} times of about 320", char::from(*letter));
        }
    }
}
