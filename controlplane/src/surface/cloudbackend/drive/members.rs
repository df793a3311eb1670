//! The members of one object of a body, read one after the other; what does not fit is remembered, so that a client is told
//! everything at once.

use serde_json::{Map, Value};

use super::fields::{Fault, Faulty};

/// Members being read.
pub struct Members<'b> {
    of: &'b Map<String, Value>,
    faults: Vec<Faulty>,
}

impl<'b> Members<'b> {
    /// Of an object.
    pub fn of(of: &'b Map<String, Value>) -> Self {
        Self { of, faults: Vec::new() }
    }

    /// A member that may be missing.
    pub fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&'b Value) -> Result<T, Fault>) -> Option<T> {
        match self.of.get(name).map(read)? {
            Ok(value) => Some(value),
            Err(fault) => {
                self.refuse(name, fault);
                None
            }
        }
    }

    /// A member that has to be there.
    pub fn need<T>(&mut self, name: &'static str, read: impl FnOnce(&'b Value) -> Result<T, Fault>) -> Option<T> {
        if !self.of.contains_key(name) {
            self.refuse(name, Fault::Required);
        }
        self.read(name, read)
    }

    /// A member does not fit.
    pub fn refuse(&mut self, name: &'static str, fault: Fault) {
        self.faults.push((name, fault));
    }

    /// What was read, unless something does not fit: a `None` that had to be there is one of the faults.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Vec<Faulty>> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(self.faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fields;
    use super::*;

    #[test]
    fn everything_that_does_not_fit_is_told() {
        let body = json!({"name": "", "path": "/a", "size": "x"});
        let mut members = Members::of(body.as_object().unwrap());
        let name = members.need("name", fields::text);
        let kind = members.need("content_type", fields::text);
        assert_eq!(members.read("path", fields::path).unwrap().as_str(), "/a/");
        assert_eq!(members.read("oss_url", fields::url), None);
        members.need("size", fields::integer);
        let faults = [("name", Fault::Blank), ("content_type", Fault::Required), ("size", Fault::NoInteger)];
        assert_eq!(members.finish(name.zip(kind)), Err(faults.to_vec()));
        let mut members = Members::of(body.as_object().unwrap());
        members.read("size", fields::integer);
        assert_eq!(members.finish(Some(5)), Err(vec![("size", Fault::NoInteger)]));
    }
}
