//! Everything the drive refuses, with its words in both languages (CONTRACT.md §A4, §A5, §A9).

use serde_json::{Map, Value, json};

use super::fields::{Fault, Faulty};
use crate::surface::cloudbackend::api;
use crate::surface::cloudbackend::settings::Language;

/// A refusal on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Members of a new record, or of what names one, do not fit.
    Fields(Vec<Faulty>),
    /// Members of a changed record do not fit.
    ChangedFields(Vec<Faulty>),
    /// There is no such file, any more or ever.
    NoFile(Doing),
    /// It is another account's.
    NotYours(Doing),
    /// `folder_name` is missing.
    NoFolderName,
    /// No folder may be called so.
    UnfitFolderName,
    /// Nothing is in a folder to be downloaded.
    FolderDownload,
    /// `file_name` or `file_size` are missing.
    NoNameOrSize,
    /// `file_size` is no size.
    UnfitSize,
    /// What is announced, or a record would come to be, is more than the account may have.
    NoSpace,
    /// What was uploaded is more than the account may have.
    NoSpaceAfterUpload,
    /// An unknown upload id.
    NoUploadId,
    /// Another user's.
    ForeignUploadId,
    /// An upload id without the object.
    NoUrl,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It is deleted.
    Delete,
    /// It is changed.
    Update,
    /// A link to it is made.
    Download,
}

impl Refusal {
    /// One member does not fit.
    pub fn field(name: &'static str, fault: Fault) -> Self {
        Self::Fields(vec![(name, fault)])
    }

    /// Status and body.
    pub fn worded(&self, language: Language) -> (u16, Value) {
        let pick = |zh, en| language.pick(zh, en);
        let plain = |error: &str| json!({"error": error, "message": error});
        match self {
            Self::Fields(faults) => (400, errors(faults, language, "Invalid file data provided")),
            Self::ChangedFields(faults) => (400, errors(faults, language, "Invalid data provided")),
            Self::NoFile(doing) => {
                let error = pick("文件不存在", "File not found");
                (404, json!({"error": error, "message": doing.failed(language)}))
            }
            Self::NotYours(doing) => (403, plain(doing.not_allowed(language))),
            Self::NoFolderName => (400, plain(pick("需要提供folder_name", "Need folder_name"))),
            Self::UnfitFolderName => (400, plain(Fault::NoFolderName.text(language).as_str())),
            Self::FolderDownload => (400, plain(pick("文件夹无法下载", "You cannot download a folder"))),
            Self::NoNameOrSize => (400, plain(pick("需要提供file_name和file_size", "Need file_name and file_size"))),
            Self::UnfitSize => (400, plain(pick("file_size必须是整数", "file_size must be a valid integer"))),
            Self::NoSpace => (400, plain(pick("存储空间不足", "Storage quota exceeded"))),
            Self::NoSpaceAfterUpload => {
                let error = "Storage quota exceeded after upload";
                (400, json!({"error": error, "message": "Insufficient storage space"}))
            }
            Self::NoUploadId => {
                let error = "Invalid or expired upload_id";
                (400, json!({"error": error, "message": "Upload session not found"}))
            }
            Self::ForeignUploadId => {
                let message = "Upload session belongs to different user";
                (403, json!({"error": "Permission denied", "message": message}))
            }
            Self::NoUrl => (400, json!({"error": "oss_url is required", "message": "Missing oss_url"})),
        }
    }
}

impl Doing {
    fn failed(self, language: Language) -> &'static str {
        match self {
            Self::Delete => language.pick("删除文件失败", "Failed to delete file"),
            Self::Update => language.pick("更新文件信息失败", "Failed to update file"),
            Self::Download => language.pick("生成下载链接失败", "Failed to generate download link"),
        }
    }

    fn not_allowed(self, language: Language) -> &'static str {
        let zh = match self {
            Self::Delete => "没有权限删除此文件",
            Self::Update => "没有权限更新此文件",
            Self::Download => "没有权限下载此文件",
        };
        language.pick(zh, "No permission")
    }
}

fn errors(faults: &[Faulty], language: Language, message: &str) -> Value {
    let field = |(name, fault): &Faulty| ((*name).to_owned(), json!([fault.text(language)]));
    json!({"errors": faults.iter().map(field).collect::<Map<_, _>>(), "message": message})
}

impl From<Refusal> for api::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self::Drive(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a4_a5_bodies_in_both_languages() {
        let zh = |refusal: Refusal| refusal.worded(Language::Zh);
        assert_eq!(
            zh(Refusal::NoFile(Doing::Delete)),
            (404, json!({"error": "文件不存在", "message": "删除文件失败"}))
        );
        let text = "没有权限下载此文件";
        assert_eq!(zh(Refusal::NotYours(Doing::Download)), (403, json!({"error": text, "message": text})));
        let (_, body) = zh(Refusal::Fields(vec![("name", Fault::Blank), ("path", Fault::NoPath)]));
        let errors = json!({"name": ["This field may not be blank."], "path": ["路径无效"]});
        assert_eq!(body, json!({"errors": errors, "message": "Invalid file data provided"}));
        let (_, body) = Refusal::ChangedFields(vec![("oss_url", Fault::NoObject)]).worded(Language::En);
        let errors = json!({"oss_url": ["File not found or no permission"]});
        assert_eq!(body, json!({"errors": errors, "message": "Invalid data provided"}));
        assert_eq!(Refusal::NotYours(Doing::Update).worded(Language::En).1["error"], "No permission");
    }
}
