//! The pages a browser sees at the end of a login. No scripts, nothing from elsewhere, everything escaped: the names in
//! them were written by strangers.

use crate::core::html::escaped;

/// Fields that go with every page. The form's answer is a page of ours, so `form-action` needs no other place.
pub const HEADERS: [(&str, &str); 5] = [
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
];

/// The form's field with the one-time value.
pub const CONFIRMATION_FIELD: &str = "confirmation";

/// Where the form goes, seen from `/api/users/callback`: relative, so it holds behind a proxy that adds a prefix.
const CONFIRM_ACTION: &str = "login/confirm";

/// Asks whether this person started the login of a command line; `confirmation` is the one-time value.
pub fn confirm(name: &str, confirmation: &str) -> String {
    let (name, confirmation) = (escaped(name), escaped(confirmation));
    page(
        "Confirm the login",
        &format!(
            "<p>A command line wants to be signed in as <strong>{name}</strong>.</p>\n\
             <p>Confirm only if you started this login yourself, just now. If you were sent the link, close this \
             page: the sender would act in your name.</p>\n\
             <form method=\"post\" action=\"{CONFIRM_ACTION}\">\n\
             <input type=\"hidden\" name=\"{CONFIRMATION_FIELD}\" value=\"{confirmation}\">\n\
             <button type=\"submit\">Yes, sign me in</button>\n</form>"
        ),
    )
}

/// The command line is signed in.
pub fn confirmed(name: &str) -> String {
    let name = escaped(name);
    page(
        "Signed in",
        &format!("<p>Signed in as <strong>{name}</strong>. Go back to the command line; this page can be closed.</p>"),
    )
}

/// The browser's own login: shows the token (easytransfer/CONTRACT.md §6.1).
pub fn signed_in(name: &str, token: &str) -> String {
    let (name, token) = (escaped(name), escaped(token));
    page(
        "Signed in",
        &format!(
            "<p>Signed in as <strong>{name}</strong>.</p>\n<p>Your token, shown this once. Anyone who has it acts in your \
             name:</p>\n<p><code>{token}</code></p>"
        ),
    )
}

/// No person was signed in; `reason` says what to do.
pub fn failed(reason: &str) -> String {
    page("Not signed in", &format!("<p>{}</p>", escaped(reason)))
}

fn page(title: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{content}\n</main>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;";

    fn all(text: &str) -> [String; 5] {
        [confirm(text, "v"), confirm("n", text), confirmed(text), signed_in(text, text), failed(text)]
    }

    #[test]
    fn section_16_13_names_are_escaped_on_every_page() {
        for (page, plain) in all(CANARY).into_iter().zip(all("x")) {
            assert!(!page.contains("<script") && !page.contains("<img") && page.contains("&#60;script&#62;"), "{page}");
            let tags = |page: &str| page.matches('<').count();
            assert_eq!(tags(&page), tags(&plain), "{page}");
        }
    }

    #[test]
    fn section_6_1_the_browsers_page_shows_name_and_token() {
        let page = signed_in("Ada", "t0ken");
        assert!(page.contains("<strong>Ada</strong>") && page.contains("<code>t0ken</code>"));
        assert!(confirm("Ada", "0nce").contains("name=\"confirmation\" value=\"0nce\""));
    }

    #[test]
    fn section_5_pages_run_nothing_load_nothing_and_are_not_kept() {
        let field = |name: &str| HEADERS.iter().find(|(field, _)| *field == name).unwrap().1;
        assert!(field("content-security-policy").starts_with("default-src 'none';"));
        assert_eq!((field("referrer-policy"), field("cache-control")), ("no-referrer", "no-store"));
        for page in all("x") {
            assert!(!page.contains("script") && !page.contains("src=") && !page.contains("href="), "{page}");
        }
    }
}
