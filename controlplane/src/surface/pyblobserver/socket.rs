//! `WS /upload_socket` (CONTRACT.md §8): a token, then a name and a content per file.
//!
//! ```text
//! 101 ──► token ──► "user is: …" ──► name ──► content: reserve ──► Receive ──► record, durable ──► its answer ──► name ──► …
//!            └ wrong: 1008              └ over a limit: its refusal, and the content is read away ──► name ──► …
//! ```
//!
//! Must stay true: the token is looked up again for every message, and only its digest stands in the memo; each file
//! counts as a request of its client; answers come in the order of the files, for nothing is read before the last one
//! was answered.

use etransfer_contract::step::{Close, CloseCode, Failure, Message, Outcome, StepReport, WebSocketStep, What};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arrival::{self, Coming};
use super::context::RequestContext;
use super::name;
use super::refusal::Refusal;
use super::tokens::{self, Digest};
use crate::link::decision::Decision;

/// Longest token or file name; names are cut to less.
const TEXT_BYTES_MAX: u16 = 8 * 1024;

/// What is due next; this must hold between two messages.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Due {
    /// The token.
    Token,
    /// Something of a file, from the holder of the token with this digest.
    File(Digest, Stage),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Its name.
    Name,
    /// The content that belongs to this name.
    Content(String),
    /// The end of its content.
    End(Coming),
}

/// The next step of a conversation.
pub async fn converse(context: &RequestContext<'_>, outcome: Option<Outcome>) -> Result<Decision, Refusal> {
    let Some(Outcome { continuation: memo, report: told, .. }) = outcome else {
        return Ok(listen(context, &Due::Token, None));
    };
    let due = serde_json::from_str(&memo).map_err(|error| {
        tracing::error!(%error, "the memo of a conversation cannot be read");
        Refusal::Failed
    })?;
    match (due, told) {
        (Due::Token, StepReport::Failed(Failure::NoUpgrade)) => Err(Refusal::NoUpgrade),
        (_, StepReport::Failed(Failure::FieldTooLong)) => {
            Ok(close(context, CloseCode::TooLong, "the text is too long"))
        }
        (Due::Token, told) => greet(context, &told),
        (Due::File(token, stage), told) => match tokens::user_of(context.node(), context.settings(), &token) {
            Some(user) => Sender { context, token, user }.go_on(stage, told).await,
            None => Ok(invalid_token(context)),
        },
    }
}

/// Who has the token is told so.
fn greet(context: &RequestContext<'_>, told: &StepReport) -> Result<Decision, Refusal> {
    match told {
        StepReport::Message(Message::Text(token)) => Ok(match context.user_with(token) {
            Ok(user) => {
                let due = Due::File(tokens::digest(token), Stage::Name);
                listen(context, &due, Some(format!("user is: {user}")))
            }
            Err(_) => invalid_token(context),
        }),
        StepReport::Message(Message::Binary { .. }) => Ok(invalid_token(context)),
        _ => Err(unasked()),
    }
}

/// The sender of files.
struct Sender<'a> {
    context: &'a RequestContext<'a>,
    token: Digest,
    user: String,
}

impl Sender<'_> {
    async fn go_on(&self, stage: Stage, told: StepReport) -> Result<Decision, Refusal> {
        let context = self.context;
        match (stage, told) {
            (Stage::Name, StepReport::Message(Message::Text(told))) => {
                Ok(listen(context, &self.due(Stage::Content(name::of_text(&told))), None))
            }
            (Stage::Name, StepReport::Message(Message::Binary { .. })) => {
                Ok(close(context, CloseCode::Unsupported, "the name of a file comes before its content"))
            }
            (Stage::Content(_), StepReport::Message(Message::Text(_))) => {
                Ok(close(context, CloseCode::Unsupported, "the content of a file is a binary message"))
            }
            (Stage::Content(name), StepReport::Message(Message::Binary { bytes })) => {
                Ok(self.receive(name, bytes).await)
            }
            (Stage::End(coming), StepReport::Received { bytes, .. }) => {
                let kept = arrival::keep(context, &self.user, &coming, bytes).await;
                Ok(self.answer(kept.unwrap_or_else(|refusal| refusal.in_batch(&coming.name))))
            }
            (Stage::End(coming), StepReport::Failed(failure)) => {
                Ok(self.answer(arrival::refusal(context, failure, Some(&coming)).in_batch(&coming.name)))
            }
            _ => Err(unasked()),
        }
    }

    /// Lets the content come, or says why not; then it is read away.
    async fn receive(&self, name: String, bytes: Option<u64>) -> Decision {
        let promised = match self.context.admit() {
            Ok(()) => arrival::receive(self.context, &self.user, name.clone(), bytes).await,
            Err(refusal) => Err(refusal),
        };
        match promised {
            Ok((ticket, coming, what)) => {
                Decision::step(self.context.node(), ticket, memo(&self.due(Stage::End(coming))), what)
            }
            Err(refusal) => self.answer(refusal.in_batch(&name)),
        }
    }

    /// What came of a file; the next one is due.
    fn answer(&self, told: Value) -> Decision {
        listen(self.context, &self.due(Stage::Name), Some(told.to_string()))
    }

    fn due(&self, stage: Stage) -> Due {
        Due::File(self.token, stage)
    }
}

/// Says something, and waits for what is due.
fn listen(context: &RequestContext<'_>, due: &Due, say: Option<String>) -> Decision {
    let what = What::WebSocket(WebSocketStep { say, text_bytes_max: TEXT_BYTES_MAX });
    Decision::step(context.node(), context.node().ticket(), memo(due), what)
}

fn close(context: &RequestContext<'_>, code: CloseCode, reason: &str) -> Decision {
    let what = What::Close(Close { code, reason: reason.to_owned() });
    Decision::step(context.node(), context.node().ticket(), "", what)
}

fn invalid_token(context: &RequestContext<'_>) -> Decision {
    close(context, CloseCode::Policy, "Invalid Token")
}

fn memo(due: &Due) -> String {
    serde_json::to_string(due).expect("texts and numbers are always JSON")
}

/// What was told is not logged: it may be a token.
fn unasked() -> Refusal {
    tracing::error!("a conversation heard of a step it did not ask for");
    Refusal::Failed
}

#[cfg(test)]
mod tests {
    use etransfer_tests::examples;

    use super::*;
    use crate::golden::{NAME, check_json, golden};

    #[test]
    fn memos_are_sent_along_as_ever() {
        let coming = || serde_json::from_value(Coming::example(NAME, true)).unwrap();
        let of = |stage| Due::File([7; 32], stage);
        let all = examples!(Due:
            Due::Token => { "token": Due::Token },
            Due::File(_, Stage::Name) => { "name": of(Stage::Name) },
            Due::File(_, Stage::Content(_)) => { "content": of(Stage::Content(NAME.into())) },
            Due::File(_, Stage::End(_)) => { "end": of(Stage::End(coming())) },
        );
        check_json(golden("surface/pyblobserver", "memos_of_sockets.txt", "Memos of conversations."), &all);
    }
}
