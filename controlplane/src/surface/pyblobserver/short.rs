//! The short public names of files (CONTRACT.md §4.1): the only thing that protects a file, so drawn from the operating
//! system's random source.

/// No letter or digit that is read as another one.
const ALPHABET: &[u8; 54] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnprstuvwxyz2345678";
/// Random bytes below this are fair: it is the largest multiple of the alphabet's length.
const FAIR: u8 = 216;

/// Draws a name of `length` characters.
pub fn draw(length: usize) -> String {
    let mut name = String::with_capacity(length);
    let mut random = [0u8; 64];
    while name.len() < length {
        getrandom::fill(&mut random).expect("the kernel's random source does not fail once the machine is up");
        let fair = random.iter().filter(|byte| **byte < FAIR).map(|byte| ALPHABET[usize::from(*byte) % ALPHABET.len()]);
        name.extend(fair.take(length - name.len()).map(char::from));
    }
    name
}

/// The text may be the name of a file; others are looked for nowhere.
pub fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_4_1_names_are_of_the_alphabet_and_use_all_of_it() {
        assert_eq!(usize::from(FAIR) % ALPHABET.len(), 0);
        for length in [8, 9, 64] {
            let name = draw(length);
            assert!(name.len() == length && is_name(&name), "{name}");
        }
        assert_ne!(draw(8), draw(8));
        let many: String = (0..200).map(|_| draw(64)).collect();
        assert!(ALPHABET.iter().all(|symbol| many.contains(char::from(*symbol))));
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "../../etc/passwd", "nope!", "vP4rgaB0", "vP4rgaBO", "a/b", "a\0", "é", &"A".repeat(65)] {
            assert!(!is_name(text), "{text:?}");
        }
    }
}
