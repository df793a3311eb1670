//! The routes of easytransfer/CONTRACT.md §0 in its order, each with the answer its section gives to who may, and what
//! easytransfer/CONTRACT.md §6.3 lists under "errors". Uploads are ann's and five bytes long.
//!
//! Not here: `/api/traffic/stream`, whose answer does not end (`nics::stream`).

use super::callers::Shape::{self, Detail, Fields, Keys, Page};

/// easytransfer/CONTRACT.md §0's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// O
    Open,
    /// C
    Credential,
    /// S
    Session,
    /// S, and a token that may administer (easytransfer/CONTRACT.md §6.3).
    SessionOrAdmin,
    /// A
    Admin,
    /// T
    TokenOrAdmin,
}

pub struct Row {
    pub access: Access,
    pub method: &'static str,
    /// `{file}` a complete upload, `{part}` an empty one, `{user}` a person, `{group}` a group, `{fresh}` a new word.
    pub path: &'static str,
    pub fields: &'static [(&'static str, &'static str)],
    pub body: &'static str,
    /// The answer to who may.
    pub status: u16,
    pub shape: Shape,
}

impl Row {
    pub fn is_about_a_file(&self) -> bool {
        self.path.contains("{file}") || self.path.contains("{part}")
    }
}

const fn row(access: Access, method: &'static str, path: &'static str, status: u16, shape: Shape) -> Row {
    Row { access, method, path, fields: &[], body: "", status, shape }
}

const fn with(body: &'static str, row: Row) -> Row {
    Row { body, ..row }
}

use Access::{Admin, Credential as C, Open as O, Session as S, SessionOrAdmin, TokenOrAdmin as T};

const ANY: Shape = Keys(&[]);
const NAMED: &str = r#"{"name": "name {fresh}"}"#;
const MESSAGE: Shape = Keys(&["message"]);

pub const ROWS: &[Row] = &[
    // Nothing there, for any caller.
    row(O, "GET", "/nothing", 404, Detail),
    row(C, "GET", "/api/nothing", 404, Detail),
    row(O, "GET", "/tus", 405, Detail),
    row(O, "DELETE", "/api/files", 405, Detail),
    // easytransfer/CONTRACT.md §1.3, §1.5: every OPTIONS is open.
    row(O, "OPTIONS", "/api/files", 405, Detail),
    Row {
        fields: &[("Origin", "https://page.example"), ("Access-Control-Request-Method", "PUT")],
        ..row(O, "OPTIONS", "/api/users/1/role", 200, ANY)
    },
    // easytransfer/CONTRACT.md §2.1 to §2.5
    row(O, "OPTIONS", "/tus", 204, ANY),
    row(O, "OPTIONS", "/tus/{file}", 204, ANY),
    Row { fields: &[("Upload-Length", "5")], ..row(C, "POST", "/tus", 201, ANY) },
    row(C, "POST", "/tus", 400, Detail),
    row(C, "HEAD", "/tus/{file}", 200, ANY),
    Row {
        fields: &[("Upload-Offset", "0"), ("Content-Type", "application/offset+octet-stream")],
        body: "hello",
        ..row(C, "PATCH", "/tus/{part}", 204, ANY)
    },
    row(C, "DELETE", "/tus/{part}", 204, ANY),
    row(C, "DELETE", "/tus/{file}", 204, ANY),
    row(C, "HEAD", "/tus/00000000000000000000000000000000", 404, ANY),
    // easytransfer/CONTRACT.md §2.6, §2.7
    row(C, "GET", "/api/files", 200, Keys(&["files", "total", "page", "page_size"])),
    row(C, "GET", "/api/files?page_size=101", 422, Fields),
    row(C, "GET", "/api/files/{file}", 200, FILE_INFO),
    row(C, "GET", "/api/files/{part}", 200, FILE_INFO),
    row(C, "GET", "/api/files/00000000000000000000000000000000", 404, Detail),
    row(C, "GET", "/api/files/no-id", 404, Detail),
    row(C, "DELETE", "/api/files/{file}", 200, Keys(&["status", "file_id"])),
    row(C, "DELETE", "/api/files/{part}", 200, Keys(&["status", "file_id"])),
    row(C, "POST", "/api/files/cleanup", 200, Keys(&["status", "cleaned"])),
    // easytransfer/CONTRACT.md §2.8
    row(C, "GET", "/api/files/{file}/download", 200, ANY),
    Row { fields: &[("Range", "bytes=1-2")], ..row(C, "GET", "/api/files/{file}/download", 206, ANY) },
    Row { fields: &[("Range", "bytes=5-")], ..row(C, "GET", "/api/files/{file}/download", 416, Detail) },
    row(C, "HEAD", "/api/files/{file}/download", 200, ANY),
    row(C, "GET", "/api/files/{part}/download", 416, Detail),
    row(
        C,
        "GET",
        "/api/files/{file}/info/download",
        200,
        Keys(&[
            "file_id",
            "filename",
            "size",
            "available_size",
            "mime_type",
            "checksum",
            "supports_range",
            "is_upload_complete",
            "chunked_storage",
            "chunk_size",
            "total_chunks",
            "available_chunks",
            "chunks_consumed",
            "upload_active",
        ]),
    ),
    row(C, "GET", "/api/files/{part}/ranges", 200, RANGES),
    row(C, "GET", "/api/files/{file}/ranges", 200, RANGES),
    row(C, "GET", "/api/files/00000000000000000000000000000000/ranges", 404, Detail),
    row(C, "GET", "/api/files/{part}/ranges?limit=0", 422, Fields),
    // easytransfer/CONTRACT.md §5.1 to §5.6
    row(O, "GET", "/api/health", 200, Keys(&["status"])),
    row(
        O,
        "GET",
        "/api/info",
        200,
        Keys(&[
            "version",
            "tus_version",
            "tus_extensions",
            "max_upload_size",
            "chunk_size",
            "interfaces",
            "endpoints",
            "total_files",
            "total_size",
            "retention_policies",
            "default_retention",
            "max_concurrent_tasks",
        ]),
    ),
    row(
        C,
        "GET",
        "/api/endpoints",
        200,
        Keys(&["endpoints", "best_for_upload", "best_for_download", "total_endpoints", "server_port", "proof_key"]),
    ),
    row(
        C,
        "GET",
        "/api/storage",
        200,
        Keys(&[
            "used",
            "used_formatted",
            "max",
            "max_formatted",
            "available",
            "available_formatted",
            "usage_percent",
            "is_full",
            "can_accept_uploads",
            "files_count",
            "uploads_count",
        ]),
    ),
    row(C, "GET", "/api/traffic", 200, Keys(&["interfaces", "endpoints", "total"])),
    row(
        C,
        "GET",
        "/api/stats",
        200,
        Keys(&[
            "traffic",
            "instances",
            "files",
            "total_upload_bytes",
            "total_download_bytes",
            "task_download_bytes",
            "task_push_bytes",
            "task_total",
            "task_completed",
            "task_active",
            "migration_object_count",
            "migration_download_bytes",
            "migration_push_bytes",
            "migration_tasks",
            "user_count",
        ]),
    ),
    // easytransfer/CONTRACT.md §5.7; with a token that is valid: guessing is limited.
    with(r#"{"token": "token-of-the-tests"}"#, row(O, "POST", "/api/auth/verify", 200, Keys(&["valid", "expires_at"]))),
    with("{}", row(O, "POST", "/api/auth/verify", 422, Fields)),
    // easytransfer/CONTRACT.md §6.1
    row(
        O,
        "GET",
        "/api/users/login-info",
        200,
        Keys(&["provider", "issuer", "authorize_url", "client_id", "callback_url", "scope", "end_session_url"]),
    ),
    row(
        O,
        "POST",
        "/api/users/login/start",
        200,
        Keys(&["state", "authorize_url", "poll_endpoint", "callback_url", "message", "short_url"]),
    ),
    row(O, "GET", "/api/users/login/poll/unknown", 404, Detail),
    row(O, "GET", "/api/users/login", 307, ANY),
    row(O, "GET", "/l/unknown", 404, Detail),
    row(O, "GET", "/api/users/callback", 422, Fields),
    row(O, "GET", "/api/users/callback?code=x&state=y", 400, Page),
    row(O, "POST", "/api/users/dingtalk/sso", 501, Detail),
    // easytransfer/CONTRACT.md §6.2
    row(
        S,
        "GET",
        "/api/users/me",
        200,
        Keys(&[
            "id",
            "username",
            "display_name",
            "email",
            "avatar_url",
            "role",
            "is_active",
            "is_admin",
            "storage_used",
            "groups",
            "effective_quota",
        ]),
    ),
    row(S, "GET", "/api/users/me/quota", 200, Keys(&["storage_used", "quota", "usage_percent", "is_over_quota"])),
    // easytransfer/CONTRACT.md §6.3
    row(SessionOrAdmin, "GET", "/api/groups", 200, Keys(&["groups"])),
    row(Admin, "GET", "/api/users", 200, Keys(&["users"])),
    row(Admin, "PUT", "/api/users/{user}/role?role=guest", 200, Keys(&["message", "user_id"])),
    row(Admin, "PUT", "/api/users/{user}/role?role=king", 400, Detail),
    row(Admin, "PUT", "/api/users/{user}/role", 422, Fields),
    row(Admin, "PUT", "/api/users/0/role?role=user", 404, Detail),
    row(Admin, "PUT", "/api/users/x/role?role=user", 422, Fields),
    row(Admin, "PUT", "/api/users/{user}/active?active=true", 200, Keys(&["message", "user_id"])),
    row(Admin, "PUT", "/api/users/{user}/active?active=perhaps", 422, Fields),
    row(Admin, "PUT", "/api/users/0/active?active=true", 404, Detail),
    row(Admin, "PUT", "/api/users/x/active?active=true", 422, Fields),
    with(NAMED, row(Admin, "POST", "/api/groups", 200, Keys(&["message", "group"]))),
    with(r#"{"name": "group of {fresh}", "description": "{group}"}"#, row(Admin, "POST", "/api/groups", 409, Detail)),
    with("{}", row(Admin, "POST", "/api/groups", 422, Fields)),
    with(NAMED, row(Admin, "PUT", "/api/groups/{group}/quota", 200, Keys(&["message", "group"]))),
    with(NAMED, row(Admin, "PUT", "/api/groups/0/quota", 404, Detail)),
    with(NAMED, row(Admin, "PUT", "/api/groups/x/quota", 422, Fields)),
    with("{}", row(Admin, "PUT", "/api/groups/{group}/quota", 422, Fields)),
    row(Admin, "POST", "/api/groups/{group}/members/{user}", 200, MESSAGE),
    row(Admin, "POST", "/api/groups/0/members/{user}", 404, Detail),
    row(Admin, "POST", "/api/groups/{group}/members/0", 404, Detail),
    row(Admin, "POST", "/api/groups/{group}/members/x", 422, Fields),
    row(Admin, "DELETE", "/api/groups/{group}/members/{user}", 200, MESSAGE),
    row(Admin, "DELETE", "/api/groups/0/members/0", 200, MESSAGE),
    row(Admin, "DELETE", "/api/groups/x/members/0", 422, Fields),
    row(Admin, "DELETE", "/api/groups/{group}", 200, MESSAGE),
    row(Admin, "DELETE", "/api/groups/0", 200, MESSAGE),
    row(Admin, "DELETE", "/api/groups/x", 422, Fields),
    row(
        Admin,
        "POST",
        "/api/admin/recalculate-storage",
        200,
        Keys(&["message", "updated", "orphan_bytes", "total_files"]),
    ),
    // easytransfer/CONTRACT.md §7
    row(
        T,
        "POST",
        "/api/admin/reload-config",
        200,
        Keys(&["reloaded", "changes", "hot_reloadable", "requires_restart", "note"]),
    ),
    row(T, "GET", "/api/admin/config-status", 200, Keys(&["config_file", "config_watch", "config_watch_interval"])),
    // easytransfer/CONTRACT.md §8: not built, and said so only to who may ask.
    row(C, "GET", "/api/folders", 501, Detail),
    row(C, "GET", "/api/folders/x/download", 501, Detail),
    row(C, "POST", "/api/tasks", 501, Detail),
    row(C, "GET", "/api/tasks/queue/global", 501, Detail),
    row(C, "GET", "/api/plugins/sources", 501, Detail),
    row(C, "GET", "/api/plugins/sinks", 501, Detail),
    row(C, "POST", "/api/files/00000000000000000000000000000000/push", 501, Detail),
    row(T, "POST", "/api/migrations/bucket", 501, Detail),
    row(T, "GET", "/api/migrations/jobs", 501, Detail),
    row(T, "POST", "/api/migrations/jobs/x/pause", 501, Detail),
    // easytransfer/CONTRACT.md §17.7, and what looks after a node.
    row(O, "GET", "/openapi.json", 200, Keys(&["openapi", "info", "paths", "components"])),
    row(O, "GET", "/docs", 200, Page),
    row(O, "GET", "/redoc", 200, Page),
    row(O, "GET", "/livez", 200, Keys(&["live"])),
    row(O, "GET", "/readyz", 200, Keys(&["ready", "missing"])),
    row(T, "GET", "/metrics", 200, ANY),
    // Last: it ends the callers' sessions.
    row(C, "POST", "/api/users/logout", 200, MESSAGE),
];

const RANGES: Shape = Keys(&["file_id", "length", "received_bytes", "total", "ranges", "next"]);
const FILE_INFO: Shape = Keys(&[
    "file_id",
    "filename",
    "size",
    "mime_type",
    "checksum",
    "status",
    "uploaded_size",
    "chunk_size",
    "total_chunks",
    "uploaded_chunks",
    "created_at",
    "updated_at",
    "expires_at",
    "metadata",
]);
