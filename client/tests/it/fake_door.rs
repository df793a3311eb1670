//! One address of the fake node: a NIC with a speed, a count of what went through it, and faults of its own.

use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What a door does with connections from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Serves.
    #[default]
    Open,
    /// Cuts every connection.
    Shut,
    /// Takes connections and says nothing.
    Mute,
    /// Leads to some other node.
    Stranger,
    /// Says the name of the node, and proves nothing.
    Echo,
    /// Passes the question on to the node, which sees another address of its own.
    Relay,
}

#[derive(Debug, Default)]
pub struct Door {
    /// Bytes per second of one connection; 0: no limit.
    pace: AtomicU64,
    moved: AtomicU64,
    mood: Mutex<Mood>,
    /// After this many bytes the mood changes.
    turn: Mutex<Option<(u64, Mood)>>,
    connections: Mutex<Vec<TcpStream>>,
    /// Paths asked for, and whether a token came along.
    asked: Mutex<Vec<(String, bool)>>,
    turned: AtomicBool,
}

/// The door does not let this pass.
pub struct Blocked;

impl Door {
    pub fn set_pace(&self, bytes_per_second: u64) {
        self.pace.store(bytes_per_second, Ordering::SeqCst);
    }

    /// Bytes of files that went through, either way.
    pub fn moved(&self) -> u64 {
        self.moved.load(Ordering::SeqCst)
    }

    pub fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        if mood == Mood::Shut {
            for connection in self.connections.lock().unwrap().drain(..) {
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
    }

    /// Changes the mood once this many bytes went through.
    pub fn turn_after(&self, bytes: u64, mood: Mood) {
        *self.turn.lock().unwrap() = Some((bytes, mood));
    }

    /// Whether that has happened.
    pub fn has_turned(&self) -> bool {
        self.turned.load(Ordering::SeqCst)
    }

    pub fn asked(&self) -> Vec<(String, bool)> {
        self.asked.lock().unwrap().clone()
    }

    pub fn note(&self, path: &str, has_token: bool) {
        self.asked.lock().unwrap().push((path.to_owned(), has_token));
    }

    /// A new connection; `Blocked` when there is nothing to be done with it.
    pub fn enter(&self, stream: &TcpStream) -> Result<(), Blocked> {
        self.connections.lock().unwrap().push(stream.try_clone().unwrap());
        self.check()
    }

    pub fn check(&self) -> Result<(), Blocked> {
        match self.mood() {
            Mood::Open | Mood::Stranger | Mood::Echo | Mood::Relay => Ok(()),
            Mood::Shut | Mood::Mute => Err(Blocked),
        }
    }

    /// Lets some bytes pass in their time.
    pub fn pass(&self, bytes: u64) -> Result<(), Blocked> {
        let pace = self.pace.load(Ordering::SeqCst);
        if pace > 0 {
            std::thread::sleep(Duration::from_secs_f64(bytes as f64 / pace as f64));
        }
        self.check()?;
        let moved = self.moved.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let due = self.turn.lock().unwrap().take_if(|(after, _)| moved >= *after);
        if let Some((_, mood)) = due {
            self.set_mood(mood);
            self.turned.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}
