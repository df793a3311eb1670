//! The front as a whole: bytes in, message or refusal out. Tables of PROMISES.md §4, splits, and hyper as a judge.

mod chunk_rows;
mod head_rows;
mod oracle;
mod splits;

use super::{ChunkStep, Decoder, Framing, Head, HeadLimits, HeadScan, Reject};

/// One message as the front reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    method: String,
    target: String,
    host: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
    framing: Framing,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    /// Bytes of the input that belong to it.
    consumed: usize,
}

/// What became of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Message(Box<Message>),
    Rejected(Reject),
    /// They end too early.
    Incomplete,
}

/// Reads one message as if the bytes came in reads that end at `cuts` (ascending), then all the rest.
fn read(bytes: &[u8], cuts: &[usize]) -> Outcome {
    let ends = cuts.iter().copied().filter(|cut| *cut < bytes.len()).chain([bytes.len()]);
    let mut reader = Reader { scan: HeadScan::default(), head: None };
    for end in ends {
        match reader.read(&bytes[..end]) {
            Ok(Some(message)) => return Outcome::Message(Box::new(message)),
            Ok(None) => {}
            Err(reject) => return Outcome::Rejected(reject),
        }
    }
    Outcome::Incomplete
}

struct Reader {
    scan: HeadScan,
    head: Option<(Message, usize, Decoder)>,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Result<Option<Message>, Reject> {
        if self.head.is_none() {
            let limits = HeadLimits::default();
            let Some((head, end)) = Head::parse_on(&mut self.scan, bytes, &limits)? else { return Ok(None) };
            self.head = Some((message(&head), end, Decoder::default()));
        }
        let (message, at, decoder) = self.head.as_mut().expect("just set");
        match message.framing {
            Framing::None => {}
            Framing::Length(length) => {
                let rest = &bytes[*at..];
                if (rest.len() as u64) < length {
                    return Ok(None);
                }
                message.body = rest[..length as usize].to_vec();
                *at += length as usize;
            }
            Framing::Chunked => loop {
                match decoder.step(&bytes[*at..])? {
                    ChunkStep::Data { consumed, data } => {
                        message.body.extend_from_slice(&bytes[*at..][data]);
                        *at += consumed;
                    }
                    ChunkStep::NeedMore { consumed } => {
                        *at += consumed;
                        return Ok(None);
                    }
                    ChunkStep::Done { consumed } => {
                        *at += consumed;
                        message.trailers = std::mem::take(decoder).into_trailers();
                        break;
                    }
                }
            },
        }
        Ok(Some(Message { consumed: *at, ..message.clone() }))
    }
}

fn message(head: &Head) -> Message {
    Message {
        method: head.method_name().to_owned(),
        target: head.target().to_owned(),
        host: head.host().map(str::to_owned),
        fields: head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect(),
        framing: head.framing(),
        body: Vec::new(),
        trailers: Vec::new(),
        consumed: 0,
    }
}

/// The message, or the refusal, of bytes that are one or the other.
fn verdict(bytes: &[u8]) -> Result<Message, Reject> {
    match read(bytes, &[]) {
        Outcome::Message(message) => Ok(*message),
        Outcome::Rejected(reject) => Err(reject),
        Outcome::Incomplete => panic!("incomplete: {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// A POST with these lines (CRLF is added to each) between `Host` and the empty line.
fn post(lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("POST /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes()
}
