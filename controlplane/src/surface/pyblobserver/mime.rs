//! The media type of a file, guessed from the extension of its name (CONTRACT.md §4.2). What the client said it is, is
//! not believed.

/// Extension in lower case and type.
const TYPES: [(&str, &str); 73] = [
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apk", "application/vnd.android.package-archive"),
    ("avif", "image/avif"),
    ("avi", "video/x-msvideo"),
    ("bin", "application/octet-stream"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/x-c"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eml", "message/rfc822"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar"),
    ("ipynb", "application/x-ipynb+json"),
    ("iso", "application/x-iso9660-image"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mkv", "video/x-matroska"),
    ("mjs", "text/javascript"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("py", "text/x-python"),
    ("rar", "application/vnd.rar"),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("tsv", "text/tab-separated-values"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "text/xml"),
    ("yaml", "application/yaml"),
    ("zip", "application/zip"),
];

/// What may be shown in place (PROMISES.md §5): nothing that runs, whatever is in it.
const HARMLESS: [&str; 6] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "text/plain"];

/// The type, when the extension says one.
pub fn guess(name: &str) -> Option<&'static str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let known = TYPES.iter().find(|(known, _)| *known == extension && !stem.is_empty());
    known.map(|(_, mime)| *mime)
}

/// `Content-Type` of a file called `name`.
pub fn content_type(name: &str) -> String {
    match guess(name) {
        Some(text) if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        Some(other) => other.to_owned(),
        None => "application/octet-stream".to_owned(),
    }
}

/// A file called `name` may be shown in place.
pub fn is_harmless(name: &str) -> bool {
    guess(name).is_some_and(|mime| HARMLESS.contains(&mime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_4_2_types_come_from_the_extension() {
        for (name, content_type_, harmless) in [
            ("t.txt", "text/plain; charset=utf-8", true),
            ("a.b.PNG", "image/png", true),
            ("a.html", "text/html; charset=utf-8", false),
            ("a.svg", "image/svg+xml", false),
            ("a.pdf", "application/pdf", false),
            ("a.tar.gz", "application/gzip", false),
            ("png", "application/octet-stream", false),
            (".txt", "application/octet-stream", false),
            ("a.", "application/octet-stream", false),
            ("", "application/octet-stream", false),
            ("a.txt\r\nX: y", "application/octet-stream", false),
        ] {
            assert_eq!((content_type(name).as_str(), is_harmless(name)), (content_type_, harmless), "{name:?}");
        }
        assert!(TYPES.iter().all(|(extension, _)| *extension == extension.to_ascii_lowercase()));
    }
}
