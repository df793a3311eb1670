//! What is said when something went well, in both languages (CONTRACT.md §A3 to §A6, §A9). Refusals have their words
//! with their status, in [`refusal`](super::refusal).

use crate::surface::cloudbackend::settings::Language;

/// A text of a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// A refresh token counts no more.
    LoggedOut,
    /// A password is another one.
    PasswordChanged,
    /// What is in a folder.
    FilesListed,
    /// There is a folder more.
    FolderMade,
    /// A file is gone.
    FileDeleted,
    /// A file is another.
    FileUpdated,
    /// A link to a file.
    LinkMade,
    /// An upload token.
    TokenMade,
    /// There is a share more.
    ShareMade,
    /// What is in a share.
    ShareFound,
    /// A share is gone.
    ShareDeleted,
}

impl Text {
    /// In this language.
    pub fn of(self, language: Language) -> &'static str {
        let (zh, en) = match self {
            Self::LoggedOut => ("登出成功", "Success"),
            Self::PasswordChanged => ("密码更新成功", "Success"),
            Self::FilesListed => ("文件列表获取成功", "Success"),
            Self::FolderMade => ("文件夹创建成功", "Success"),
            Self::FileDeleted => ("文件已删除", "Success"),
            Self::FileUpdated => ("文件信息更新成功", "Success"),
            Self::LinkMade => ("下载链接已生成", "Success"),
            Self::TokenMade => ("已生成token", "Success"),
            Self::ShareMade => ("分享创建成功", "Success"),
            Self::ShareFound => ("获取分享详情成功", "Success"),
            Self::ShareDeleted => ("分享已删除", "Success"),
        };
        language.pick(zh, en)
    }
}

impl Language {
    /// Of two texts that mean the same the one to show.
    pub fn pick(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}
