//! Which operation of the bucket a request asks for (CONTRACT.md §B4, §B7).
//!
//! Must stay true: what is not built is never taken for something that is: a copy, a part of a multipart upload or an
//! access list never becomes the content of an object.

use http::{HeaderMap, Method};

use super::parameters::Parameters;
use super::place::Place;
use super::signature::is_signed;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// PostObject: a form, which brings its own signature.
    Post,
    /// GET or HEAD of an object.
    Get,
    /// Content becomes an object.
    Put,
    /// An object goes.
    Delete,
    /// Nothing is posted to an object.
    NotAllowed,
    /// Some other operation of the provider.
    NotBuilt,
}

impl Operation {
    /// Reads a request.
    pub fn of(method: &Method, place: &Place, parameters: &Parameters, headers: &HeaderMap) -> Self {
        let is_other = parameters.iter().any(|(name, _)| names_operation(method, name));
        match (method, place) {
            _ if is_other => Self::NotBuilt,
            (&Method::POST, Place::Object(_) | Place::Unfit(_)) => Self::NotAllowed,
            (&Method::POST, Place::Bucket) => Self::Post,
            (&Method::GET | &Method::HEAD, Place::Object(_) | Place::Unfit(_)) => Self::Get,
            (&Method::PUT, _) if headers.contains_key("x-oss-copy-source") => Self::NotBuilt,
            (&Method::PUT, Place::Object(_) | Place::Unfit(_)) => Self::Put,
            (&Method::DELETE, Place::Object(_) | Place::Unfit(_)) => Self::Delete,
            _ => Self::NotBuilt,
        }
    }

    /// As it stands in the metrics.
    pub const fn route(self) -> &'static str {
        match self {
            Self::Post => "/{bucket}",
            Self::Get | Self::Put | Self::Delete | Self::NotAllowed => "/{bucket}/{key}",
            Self::NotBuilt => "unknown",
        }
    }
}

/// Whether a parameter makes a request one of the other operations.
fn names_operation(method: &Method, parameter: &str) -> bool {
    match parameter {
        "objectMeta" => method != Method::HEAD,
        "security-token" | "x-oss-traffic-limit" => false,
        _ => is_signed(parameter) && !parameter.starts_with("response-"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::surface::cloudbackend::oss::key::Key;

    #[test]
    fn b7_nothing_is_taken_for_something_else() {
        let object = || Place::Object(Key::new("u1/a").unwrap());
        for (method, place, query, operation) in [
            ("POST", Place::Bucket, "", Operation::Post),
            ("POST", Place::Bucket, "OSSAccessKeyId=x", Operation::Post),
            ("POST", Place::Bucket, "delete", Operation::NotBuilt),
            ("POST", object(), "", Operation::NotAllowed),
            ("POST", object(), "uploads", Operation::NotBuilt),
            ("POST", object(), "append&position=0", Operation::NotBuilt),
            ("POST", object(), "uploadId=x", Operation::NotBuilt),
            ("POST", object(), "restore", Operation::NotBuilt),
            ("POST", object(), "x=y", Operation::NotAllowed),
            ("GET", object(), "", Operation::Get),
            ("GET", object(), "response-content-type=a/b&x=y", Operation::Get),
            ("GET", object(), "objectMeta", Operation::NotBuilt),
            ("GET", object(), "acl", Operation::NotBuilt),
            ("GET", object(), "x-oss-process=image/resize", Operation::NotBuilt),
            ("HEAD", object(), "objectMeta=", Operation::Get),
            ("PUT", object(), "", Operation::Put),
            ("PUT", object(), "partNumber=1&uploadId=x", Operation::NotBuilt),
            ("PUT", object(), "acl", Operation::NotBuilt),
            ("PUT", object(), "tagging=", Operation::NotBuilt),
            ("DELETE", object(), "", Operation::Delete),
            ("DELETE", object(), "uploadId=x", Operation::NotBuilt),
            ("DELETE", object(), "versionId=x", Operation::NotBuilt),
            ("GET", Place::Bucket, "", Operation::NotBuilt),
            ("PUT", Place::Bucket, "", Operation::NotBuilt),
            ("DELETE", Place::Bucket, "", Operation::NotBuilt),
            ("PATCH", object(), "", Operation::NotBuilt),
        ] {
            let parameters = Parameters::parse(Some(query)).unwrap();
            let method = Method::try_from(method).unwrap();
            assert_eq!(Operation::of(&method, &place, &parameters, &HeaderMap::new()), operation, "{method} {query}");
        }
        let copy = HeaderMap::from_iter([("x-oss-copy-source".parse().unwrap(), HeaderValue::from_static("/b/k"))]);
        assert_eq!(Operation::of(&Method::PUT, &object(), &Parameters::default(), &copy), Operation::NotBuilt);
    }
}
