//! What a browser does with an object (PROMISES.md §5): whatever people stored is hostile to who opens it, so only a
//! few types are shown inside a page of this origin; all others are saved.

/// Types a browser may show.
const SHOWN: [&str; 6] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "text/plain"];

/// `Content-Disposition` for content of this type: as `wanted`, but `attachment` where it may not be shown.
pub fn safe(content_type: &str, wanted: Option<&str>) -> Option<String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is_shown = SHOWN.iter().any(|shown| shown.eq_ignore_ascii_case(essence));
    let Some(wanted) = wanted else { return (!is_shown).then(|| "attachment".to_owned()) };
    let (kind, parameters) = wanted.split_at(wanted.find(';').unwrap_or(wanted.len()));
    let is_saved = kind.trim().eq_ignore_ascii_case("attachment");
    Some(if is_shown || is_saved { wanted.to_owned() } else { format!("attachment{parameters}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_scripts_are_saved_and_not_shown() {
        for (content_type, wanted, disposition) in [
            ("image/png", None, None),
            ("Image/PNG", Some("inline"), Some("inline")),
            ("text/plain; charset=utf-8", Some("inline; filename=a"), Some("inline; filename=a")),
            ("text/html", None, Some("attachment")),
            ("text/html", Some("inline; filename=\"a.html\""), Some("attachment; filename=\"a.html\"")),
            ("image/svg+xml", Some("inline"), Some("attachment")),
            ("application/octet-stream", Some("Attachment; filename=x"), Some("Attachment; filename=x")),
            ("text/html", Some(""), Some("attachment")),
        ] {
            assert_eq!(safe(content_type, wanted).as_deref(), disposition, "{content_type} {wanted:?}");
        }
    }
}
