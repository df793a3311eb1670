//! Paths that answer without a credential (easytransfer/CONTRACT.md §1.3), matched on whole segments.

/// Whether `path` is open. Paths outside `/api` and `/tus` are, but for `/metrics`: it tells
/// how the machine is doing.
pub fn is_open(path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    match segments.next() {
        Some("tus" | "metrics") => false,
        Some("api") => is_open_api(segments.next(), segments.next(), segments.next()),
        Some(_) | None => true,
    }
}

fn is_open_api(first: Option<&str>, second: Option<&str>, third: Option<&str>) -> bool {
    match (first, second, third) {
        (Some("health" | "info"), second, _) => second.is_none(),
        (Some("auth"), Some("verify"), third) => third.is_none(),
        (Some("users"), Some("login-info" | "callback"), third) => third.is_none(),
        (Some("users"), Some("login"), _) => true,
        (Some("users"), Some("dingtalk"), third) => third == Some("sso"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn section_1_3_open_paths() {
        for path in [
            "/api/health",
            "/api/info",
            "/api/auth/verify",
            "/api/users/login",
            "/api/users/login-info",
            "/api/users/login/start",
            "/api/users/login/poll/x",
            "/api/users/callback",
            "/docs",
            "/redoc",
            "/openapi.json",
            "/",
            "/l/x",
            "/livez",
            "/readyz",
            "/tusk",
            "/apis",
        ] {
            assert!(is_open(path), "{path}");
        }
        for path in [
            "/tus",
            "/tus/",
            "/tus/x",
            "/metrics",
            "/api",
            "/api/",
            "/api/files",
            "/api/healthy",
            "/api/info/x",
            "/api/infos",
            "/api/users/logins",
            "/api/users/logout",
            "/api/users/callback2",
            "/api/auth/verify/x",
        ] {
            assert!(!is_open(path), "{path}");
        }
    }
}
