//! Every refusal of this dialect: its status and its words, in one place (CONTRACT.md §2, §3, §4.4, §5, §6).

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_RANGE, HeaderName, RETRY_AFTER};
use serde_json::json;

use crate::authority::guesses::TooMany;
use crate::catalogue::WriteError;
use crate::catalogue::principal::{Crowded, RETRY_CROWDED_S};
use crate::surface::refusal::Refused;

/// Why a request does not get what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No token.
    NeedLogin,
    /// An unknown token.
    InvalidToken,
    /// Too many were wrong from there; retry after this many seconds.
    TooMany(u64),
    /// As many files or uploads as a user may have.
    Crowded(Crowded),
    /// A page of a foreign origin uses the cookie.
    Origin,
    /// A field is missing or malformed, or the body is empty.
    Incomplete,
    /// Not a form, or one without a file.
    NoForm {
        /// 400 or, with `strict_content_type`, 415.
        status: u16,
    },
    /// Above the largest file.
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// Other words than those of the first chunk.
    OtherUpload,
    /// The chunks together are not as long as the file.
    OtherSize,
    /// No room for this user, or on the node.
    Full,
    /// It was cancelled while this chunk came.
    Cancelled,
    /// Another chunk of the same index was faster.
    Overtaken,
    /// It is finished: too late to cancel.
    Finished,
    /// No such upload.
    NoUpload,
    /// No such asset.
    NoAsset,
    /// A range outside of an asset of this size.
    OutOfRange(u64),
    /// No such path.
    NotFound,
    /// No such method here; those there are.
    Method(&'static str),
    /// It may work in a moment.
    Unavailable,
    /// Our fault; the reason is in the log.
    Internal,
}

impl Refusal {
    fn status(self) -> u16 {
        match self {
            Self::NeedLogin | Self::InvalidToken => 401,
            Self::TooMany(_) | Self::Crowded(_) => 429,
            Self::Origin => 403,
            Self::Incomplete | Self::OtherSize => 400,
            Self::NoForm { status } => status,
            Self::TooLarge { .. } => 413,
            Self::OtherUpload | Self::Cancelled | Self::Finished | Self::Overtaken => 409,
            Self::Full => 507,
            Self::NoUpload | Self::NoAsset | Self::NotFound => 404,
            Self::OutOfRange(_) => 416,
            Self::Method(_) => 405,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    fn message(self) -> String {
        let text = match self {
            Self::NeedLogin => "需要登录",
            Self::InvalidToken => "无效的认证令牌",
            Self::TooMany(_) => "请求过于频繁，请稍后重试",
            Self::Crowded(Crowded::Open(most)) => return format!("未完成的上传已达上限({most})，请完成或取消后重试"),
            Self::Crowded(Crowded::Records(most)) => return format!("文件数量已达上限({most})，请删除后重试"),
            Self::Origin => "来源不被允许",
            Self::Incomplete => "缺少必要的文件信息",
            Self::NoForm { .. } => "Content-Type必须是multipart/form-data",
            Self::TooLarge { limit } => return format!("文件大小超过限制({}MB)", limit / 1_048_576),
            Self::OtherUpload => "上传信息与已有任务不一致",
            Self::OtherSize => "文件大小不匹配",
            Self::Full => "存储空间不足",
            Self::Cancelled => "上传已取消",
            Self::Overtaken => "分块正在上传，请重试",
            Self::Finished => "上传已完成，无法取消",
            Self::NoUpload => "上传任务不存在",
            Self::NoAsset => "文件不存在",
            Self::OutOfRange(_) => "请求的范围无效",
            Self::NotFound => "找不到页面",
            Self::Method(_) => "不支持的请求方法",
            Self::Unavailable => "服务暂时不可用，请稍后重试",
            Self::Internal => "服务器内部错误",
        };
        text.to_owned()
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Self::NeedLogin => Some("ZC_ERROR_NEED_LOGIN"),
            Self::InvalidToken => Some("ZC_ERROR_INVALID_TOKEN"),
            Self::NotFound => Some("404"),
            _ => None,
        }
    }

    fn field(self) -> Option<(HeaderName, String)> {
        match self {
            Self::OutOfRange(size) => Some((CONTENT_RANGE, format!("bytes */{size}"))),
            Self::Method(allowed) => Some((ALLOW, allowed.to_owned())),
            Self::TooMany(seconds) => Some((RETRY_AFTER, seconds.to_string())),
            Self::Crowded(_) => Some((RETRY_AFTER, RETRY_CROWDED_S.to_string())),
            Self::Unavailable => Some((RETRY_AFTER, "1".to_owned())),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"status": "error", "message": self.message()});
        if let Some(code) = self.code() {
            body["code"] = code.into();
        }
        if self == Self::NoUpload {
            // CONTRACT.md §5: a client that ignores the status code begins from zero.
            body["uploadedChunks"] = 0.into();
            body["chunks"] = json!([]);
        }
        let refused = Refused::worded(self.status(), body);
        self.field().into_iter().fold(refused, |refused, (name, value)| refused.with(name, value)).into_response()
    }
}

impl From<TooMany> for Refusal {
    fn from(TooMany { retry_after_s }: TooMany) -> Self {
        Self::TooMany(retry_after_s)
    }
}

impl From<Crowded> for Refusal {
    fn from(crowded: Crowded) -> Self {
        Self::Crowded(crowded)
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        if error.is_full { Self::Full } else { Self::Unavailable }
    }
}
