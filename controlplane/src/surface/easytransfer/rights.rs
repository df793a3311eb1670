//! What a route asks of its caller beyond a valid credential (CONTRACT.md §6.2, §6.3): one line each, at the top of the
//! handler.
//!
//! Without the user system these routes do not exist; who asks for people all the same is told 404 (CONTRACT.md §6).

use crate::authority::Caller;
use crate::authority::caller::Person;
use crate::people::People;
use crate::surface::easytransfer::Service;
use crate::surface::refusal::Refused;

impl Service {
    /// A person who is signed in; a static token passes the gate but is no person: 401.
    pub fn person<'c>(&self, caller: &'c Caller) -> Result<&'c Person, Refused> {
        self.known_people()?;
        caller.signed_in().ok_or_else(|| Refused::new(401, "this needs a session; sign in first"))
    }

    /// People, for an administrator: 401 without a session, 403 with one that has no such right.
    pub fn administrated(&self, caller: &Caller) -> Result<&People, Refused> {
        let people = self.known_people()?;
        if caller.may_administer() {
            return Ok(people);
        }
        self.person(caller)?;
        Err(Refused::new(403, "only administrators may do this"))
    }

    /// People, for persons who are signed in or callers that may administer them.
    pub fn looked_at(&self, caller: &Caller) -> Result<&People, Refused> {
        if !caller.may_administer() {
            self.person(caller)?;
        }
        self.known_people()
    }

    /// People, for any caller: 404 on a node without any.
    pub fn known_people(&self) -> Result<&People, Refused> {
        self.people.as_ref().ok_or_else(|| Refused::new(404, "this node has no users"))
    }
}
