//! One file over several addresses of a node, each with a speed and faults of its own. Who carried what is read off the
//! doors of the fake node; that every byte arrived is checked at the end of every test.

use std::sync::Arc;
use std::time::Duration;

use etransfer_client::download::{DownloadOptions, Downloaded, Downloader, Target};
use etransfer_client::upload::{UploadOptions, Uploaded, Uploader};
use etransfer_client::{Cancel, Client, Direction, Error, Found, Nics, Note, Result};
use serde_json::json;

use crate::fake::Fake;
use crate::fake_door::{Door, Mood};
use crate::user::{User, stderr};
use crate::{Listener, pattern, until, write_file};

const MIB: u64 = 1024 * 1024;
/// Of every file here.
const SIZE: u64 = 24 * MIB;
/// Of a connection, when a door is to take a moment.
const BRISK: u64 = 16 * MIB;
const BOTH: [Direction; 2] = [Direction::Upload, Direction::Download];

struct Bench {
    fake: Fake,
    doors: Vec<Arc<Door>>,
    client: Client,
    dir: tempfile::TempDir,
    bytes: Vec<u8>,
    listener: Arc<Listener>,
    nics: Nics,
    patience: Duration,
}

impl Bench {
    fn new(doors: u8) -> Self {
        let (fake, doors) = Fake::with_doors(doors);
        let (client, dir) = (fake.client(), tempfile::tempdir().unwrap());
        let (bytes, listener) = (pattern(SIZE as usize, 5), Listener::new());
        Self { fake, doors, client, dir, bytes, listener, nics: Nics::All, patience: Duration::from_secs(10) }
    }

    fn pace(self, paces: &[u64]) -> Self {
        self.doors.iter().zip(paces).for_each(|(door, pace)| door.set_pace(*pace));
        self
    }

    fn moved(&self) -> Vec<u64> {
        self.doors.iter().map(|door| door.moved()).collect()
    }

    fn upload(&self) -> Result<Uploaded> {
        let path = self.dir.path().join("file.bin");
        if !path.exists() {
            write_file(self.dir.path(), "file.bin", &self.bytes);
        }
        let options = UploadOptions {
            slice_bytes: Some(MIB),
            nics: self.nics,
            patience: self.patience,
            records: Some(self.dir.path().join("records")),
            ..UploadOptions::default()
        };
        Uploader::new(self.client.clone(), options, self.listener.clone()).upload(&path, &Cancel::new())
    }

    fn download(&self, id: &str) -> Result<Downloaded> {
        let options = DownloadOptions {
            slice_bytes: Some(MIB),
            nics: self.nics,
            patience: self.patience,
            ..DownloadOptions::default()
        };
        let target = Target::Directory(self.dir.path().join("out"));
        Downloader::new(self.client.clone(), options, self.listener.clone()).download(id, &target, &Cancel::new())
    }

    /// Moves the file and checks every byte; gives what the client says went over each address.
    fn moves(&self, direction: Direction) -> Vec<u64> {
        let shares = match direction {
            Direction::Upload => {
                let uploaded = self.upload().unwrap();
                assert!(self.fake.only().1.data == self.bytes, "the bytes differ");
                assert_eq!(self.fake.state().creations, 1);
                uploaded.shares
            }
            Direction::Download => {
                let id = self.fake.put("file.bin", &self.bytes);
                let downloaded = self.download(&id).unwrap();
                assert!(std::fs::read(&downloaded.path).unwrap() == self.bytes, "the bytes differ");
                downloaded.shares
            }
        };
        assert_eq!(*self.listener.last.lock().unwrap(), (SIZE, SIZE));
        shares.iter().map(|share| share.bytes).collect()
    }

    fn lost(&self) -> bool {
        self.listener.heard(|note| matches!(note, Note::EndpointLost { .. }))
    }
}

#[test]
fn every_address_carries_its_part_and_next_to_nothing_travels_twice() {
    for direction in BOTH {
        let bench = Bench::new(3).pace(&[BRISK; 3]);
        let shares = bench.moves(direction);
        let sum: u64 = shares.iter().sum();
        assert!((SIZE..=SIZE + MIB).contains(&sum), "{shares:?}");
        assert!(bench.moved().iter().all(|moved| *moved >= SIZE / 8), "{:?}", bench.moved());
    }
}

#[test]
fn a_slow_address_costs_no_more_than_its_share() {
    for direction in BOTH {
        let slow = 128 * 1024; // a slice of it takes 8 s
        let bench = Bench::new(3).pace(&[BRISK, slow, BRISK]);
        bench.moves(direction);
        // It had a slice per connection in hand when the others were done, and was relieved of them.
        assert!(bench.moved()[1] < 2 * MIB, "{:?}", bench.moved());
        assert!(bench.lost());
    }
}

#[test]
fn an_address_that_dies_midway_costs_nothing_but_its_own_work() {
    for direction in BOTH {
        for dying in [0, 1] {
            let bench = Bench::new(2).pace(&[BRISK; 2]);
            bench.doors[dying].turn_after(3 * MIB, Mood::Shut);
            bench.moves(direction);
            let moved = bench.moved();
            assert!(bench.doors[dying].has_turned() && bench.lost());
            // A download loses what was on its way; of an upload all that arrived counts.
            assert!(moved[dying] < 4 * MIB && moved[1 - dying] >= SIZE - moved[dying], "{moved:?}");
        }
    }
}

#[test]
fn an_address_that_goes_silent_midway_is_relieved() {
    for direction in BOTH {
        for dying in [0, 1] {
            let bench = Bench::new(2).pace(&[BRISK; 2]);
            bench.doors[dying].turn_after(3 * MIB, Mood::Mute);
            bench.moves(direction);
            assert!(bench.doors[dying].has_turned() && bench.lost());
        }
    }
}

#[test]
fn an_address_that_comes_back_carries_again() {
    for direction in BOTH {
        let bench = Bench::new(2).pace(&[2 * MIB, BRISK]);
        bench.doors[1].turn_after(2 * MIB, Mood::Shut);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until("the address was given up", || bench.lost());
                bench.doors[1].set_mood(Mood::Open);
            });
            bench.moves(direction);
        });
        assert!(bench.listener.heard(|note| matches!(note, Note::EndpointBack { .. })));
        assert!(bench.doors[1].moved() > SIZE / 2, "{:?}", bench.moved());
    }
}

#[test]
fn an_address_that_comes_back_as_another_node_stays_out() {
    for direction in BOTH {
        let bench = Bench::new(2).pace(&[BRISK; 2]);
        bench.doors[1].turn_after(2 * MIB, Mood::Shut);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until("the address was given up", || bench.lost());
                bench.doors[1].set_mood(Mood::Stranger);
            });
            bench.moves(direction);
        });
        assert!(bench.doors[1].moved() < 4 * MIB, "{:?}", bench.moved());
        assert!(!bench.listener.heard(|note| matches!(note, Note::EndpointBack { .. })));
    }
}

#[test]
fn all_gone_and_back_is_continued() {
    for direction in BOTH {
        let bench = Bench::new(2).pace(&[BRISK; 2]);
        bench.doors.iter().for_each(|door| door.turn_after(4 * MIB, Mood::Shut));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until("all are gone", || bench.doors.iter().all(|door| door.has_turned()));
                bench.doors.iter().for_each(|door| door.set_mood(Mood::Open));
            });
            bench.moves(direction);
        });
        assert!(bench.lost());
    }
}

#[test]
fn all_gone_for_good_is_given_up_and_remembered() {
    let mut bench = Bench::new(2).pace(&[BRISK; 2]);
    bench.patience = Duration::from_millis(300);
    bench.doors.iter().for_each(|door| door.turn_after(2 * MIB, Mood::Shut));
    assert!(matches!(bench.upload(), Err(Error::Stuck { .. })));
    let before: u64 = bench.moved().iter().sum();
    bench.doors.iter().for_each(|door| door.set_mood(Mood::Open));
    bench.moves(Direction::Upload);
    let again = bench.moved().iter().sum::<u64>() - before;
    assert!(again <= SIZE - 3 * MIB, "{again} bytes travelled again");
}

#[test]
fn a_server_that_writes_in_order_is_obeyed_over_all_addresses() {
    let bench = Bench::new(2).pace(&[BRISK; 2]);
    bench.fake.state().announces_parallel = false;
    bench.doors[0].turn_after(5 * MIB, Mood::Shut);
    bench.moves(Direction::Upload);
    let taken: u64 = bench.moved().iter().sum();
    assert!(taken <= SIZE + 2 * MIB, "what had arrived was not sent again: {taken}");
    assert!(bench.doors[1].moved() >= SIZE - 6 * MIB, "{:?}", bench.moved());
}

#[test]
fn with_the_best_address_alone_the_next_one_is_its_reserve() {
    for direction in BOTH {
        let mut bench = Bench::new(3);
        bench.nics = Nics::Best;
        let port = bench.fake.address().literal().unwrap().port();
        let entry = |at: u8, load: u64| {
            let url = format!("http://127.0.0.{at}:{port}");
            json!({"url": url, "upload_load_percent": load, "download_load_percent": load})
        };
        bench.fake.state().advertised = Some(json!([entry(1, 70), entry(2, 40), entry(3, 10)]));
        bench.moves(direction);
        assert_eq!(bench.moved(), [0, 0, SIZE], "the least loaded one");

        bench.doors[2].turn_after(SIZE + 2 * MIB, Mood::Shut);
        let again = Bench { dir: tempfile::tempdir().unwrap(), ..bench };
        again.fake.state().files.clear();
        again.fake.state().creations = 0;
        again.moves(direction);
        let moved = again.moved();
        assert!(moved[0] == 0 && moved[1] > SIZE / 2, "the next one: {moved:?}");
    }
}

#[test]
fn section_12_4_wrong_addresses_cost_one_time_out_and_get_no_token() {
    let bench = Bench::new(4);
    bench.doors[1].set_mood(Mood::Mute);
    bench.doors[2].set_mood(Mood::Stranger);
    let mut state = bench.fake.state();
    let port = bench.fake.address().literal().unwrap().port();
    let odd = ["https://127.0.0.9:1", "nonsense://", "", "http://127.0.0.1:1", "http://127.0.0.4:99999"];
    let all = (1..=4).map(|at| format!("http://127.0.0.{at}:{port}")).chain(odd.map(str::to_owned));
    state.advertised = Some(all.map(|url| json!({ "url": url })).collect());
    state.token = Some("secret".into());
    drop(state);

    let found = bench.client.candidates(Direction::Upload).unwrap();
    let usable: Vec<_> = found.list.iter().filter(|one| one.is_usable()).map(|one| one.address.authority()).collect();
    assert_eq!(usable.len(), 2, "{found:?}");
    assert!(found.list.iter().any(|one| one.found == Found::Stranger));
    bench.moves(Direction::Upload); // with a clone of the client, which knows who did not answer
    let asked = bench.doors.iter().map(|door| door.asked()).collect::<Vec<_>>();
    assert!(asked[1].len() <= 1, "asked once: {:?}", asked[1]);
    for (path, has_token) in asked[1].iter().chain(&asked[2]) {
        assert!(path == "/api/health" && !has_token, "{path} {has_token}");
    }
    assert_eq!((bench.doors[1].moved(), bench.doors[2].moved()), (0, 0));
    assert!(bench.doors[3].moved() > 0);
}

#[test]
fn an_address_that_echoes_the_name_or_relays_the_proof_gets_no_token() {
    let bench = Bench::new(4);
    bench.doors[1].set_mood(Mood::Echo);
    bench.doors[2].set_mood(Mood::Relay);
    bench.fake.state().token = Some("secret".into());
    bench.moves(Direction::Upload);
    for door in &bench.doors[1..3] {
        assert!(!door.asked().is_empty() && door.moved() == 0);
        assert!(door.asked().iter().all(|(path, has_token)| path == "/api/health" && !has_token));
    }
    assert!(bench.doors[3].moved() > 0, "the one that proves is used");
}

#[test]
fn a_server_that_gives_no_key_gets_its_configured_address_alone() {
    let bench = Bench::new(2);
    bench.fake.state().proof_key = None;
    bench.moves(Direction::Upload);
    assert_eq!(bench.moved(), [SIZE, 0]);
}

#[test]
fn a_server_that_does_not_say_who_it_is_gets_its_configured_address_alone() {
    for direction in BOTH {
        let bench = Bench::new(2);
        bench.fake.state().node = None;
        bench.moves(direction);
        assert_eq!(bench.moved(), [SIZE, 0]);
    }
}

#[test]
fn the_command_line_chooses_nics_and_interface() {
    let (user, bench) = (User::new(), Bench::new(2));
    user.set_up(&bench.fake);
    write_file(user.path(), "file.bin", &bench.bytes);
    let id = user.ok(&["upload", "-c", "1M", "file.bin", "--interface", "lo"]);
    assert!(bench.moved().iter().all(|moved| *moved > 0), "{:?}", bench.moved());
    let before = bench.moved();
    let json = user.ok(&["download", id.trim(), "-o", "out/", "--nics", "1", "--json"]);
    let moved: Vec<u64> = bench.moved().iter().zip(before).map(|(now, before)| now - before).collect();
    assert!(moved.contains(&0) && moved.contains(&SIZE), "{moved:?}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["shares"].as_array().unwrap().len(), 2);
    assert!(std::fs::read(user.path().join("out/file.bin")).unwrap() == bench.bytes);

    let unknown = user.et(&["upload", "file.bin", "--interface", "nowhere0"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("nowhere0"), "{}", stderr(&unknown));
    user.fails(2, &["upload", "file.bin", "--nics", "some"]);
}
