//! Everything shares refuse, with its words in both languages (CONTRACT.md §A6, §A9).

use serde_json::{Value, json};

use crate::surface::cloudbackend::api;
use crate::surface::cloudbackend::settings::Language;

/// A refusal on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `files` is missing, empty or no array.
    NoFiles,
    /// One of them is not there, or another account's.
    ForeignFiles,
    /// More than a share may have.
    TooManyFiles,
    /// A lifetime no share may have.
    UnfitDays,
    /// Not a code.
    UnfitCode,
    /// A live share has it.
    CodeTaken,
    /// Not a number of downloads.
    UnfitCount,
    /// Neither yes nor no.
    UnfitLogin,
    /// No text, or too long a one.
    UnfitPassword,
    /// `code` is missing.
    NoCode,
    /// Wrong codes or passwords; retry after this many seconds.
    TooMany(u64),
    /// No share has the code, or this number.
    Unknown,
    /// Its time is over.
    Expired,
    /// Only for accounts.
    LoginNeeded,
    /// The password is missing, or another one.
    WrongPassword,
    /// It was had as often as it may be.
    Exhausted,
    /// The file is not in the share.
    NotInShare,
    /// Nothing to delete.
    NothingToDelete,
    /// Another account's.
    NotYours,
}

impl Refusal {
    /// Status and body.
    pub fn worded(self, language: Language) -> (u16, Value) {
        let (status, zh, en) = match self {
            Self::NoFiles => (400, "需要提供文件列表", "Need dropping list"),
            Self::ForeignFiles => (400, "部分文件不存在或无权限", "Some files do not exist, or no permission"),
            Self::TooManyFiles => (400, "文件数量过多", "Too many files"),
            Self::UnfitDays => (400, "expire_days无效", "Invalid expire_days"),
            Self::UnfitCode => (400, "分享码无效", "Invalid sharing code"),
            Self::CodeTaken => (400, "分享码已存在", "Sharing code already exists"),
            Self::UnfitCount => (400, "max_download_count无效", "Invalid max_download_count"),
            Self::UnfitLogin => (400, "require_login无效", "Invalid require_login"),
            Self::UnfitPassword => (400, "password无效", "Invalid password"),
            Self::NoCode => (400, "需要提供分享code", "Need sharing code"),
            Self::TooMany(_) => (429, "请求过于频繁", "Too many requests"),
            Self::Unknown => (404, "分享不存在", "Invalid code"),
            Self::Expired => (400, "分享已过期", "Drop expired"),
            Self::LoginNeeded => (401, "需要登录后访问", "Please login"),
            Self::WrongPassword => (403, "密码错误", "Wrong password"),
            Self::Exhausted => (400, "下载次数已达上限", "Download limit exceeded"),
            Self::NotInShare => (404, "分享中没有此文件", "File not found in this drop"),
            Self::NothingToDelete => (404, "分享不存在", "Drop not found"),
            Self::NotYours => (403, "没有权限删除此分享", "No permission"),
        };
        let error = language.pick(zh, en);
        let message = match self {
            Self::NothingToDelete => language.pick("删除分享失败", "Failed to delete drop"),
            _ => error,
        };
        (status, json!({"error": error, "message": message}))
    }

    /// When to try again, in seconds.
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooMany(seconds) => Some(seconds),
            _ => None,
        }
    }
}

impl From<Refusal> for api::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self::Drop(refusal)
    }
}
