//! The protocol version of a request (TUS.md §A1).

use super::{Fields, Refusal};
use crate::list::members;

/// The one version spoken; also the whole text of `Tus-Version` (T-VER-5).
pub const VERSION: &str = "1.0.0";

/// T-VER-2 to T-VER-4: absent or empty means 1.0.0; anything else than that is 412 with `Tus-Version`, before every
/// other check.
pub fn version(fields: &impl Fields) -> Result<(), Refusal> {
    if members(fields.all("tus-resumable")).any(|value| value != VERSION.as_bytes()) {
        return Err(
            Refusal::new(412, "Tus-Resumable names a version that is not spoken here").with("Tus-Version", VERSION)
        );
    }
    if fields.all("tus-resumable").count() > 1 {
        return Err(Refusal::bad("tus-resumable is given more than once"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_1_0_0_or_nothing_is_spoken() {
        let table: [(&[&str], Result<(), u16>); 11] = [
            (&[], Ok(())),
            (&["1.0.0"], Ok(())),
            (&["0.2.2"], Err(412)),
            (&["abc"], Err(412)),
            (&[""], Ok(())),
            (&[" , "], Ok(())),
            (&[", 1.0.0 ,"], Ok(())),
            (&["1.0.0, 0.2.2"], Err(412)),
            (&["1.0"], Err(412)),
            (&["1.0.0", "1.0.0"], Err(400)),
            (&["1.0.0", "0.2.2"], Err(412)),
        ];
        for (values, expected) in table {
            let fields: Vec<(&str, &[u8])> = values.iter().map(|value| ("Tus-Resumable", value.as_bytes())).collect();
            let verdict = version(&fields);
            assert_eq!(verdict.as_ref().copied().map_err(|refusal| refusal.status), expected, "{values:?}");
            if let Err(refusal) = verdict {
                let announces = refusal.headers == [("Tus-Version", "1.0.0".to_owned())];
                assert_eq!(announces, refusal.status == 412);
            }
        }
    }
}
