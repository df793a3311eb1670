//! easytransfer/CONTRACT.md §8.7: one person's rate, over all their connections and cores.

use std::time::Instant;

use super::by;
use crate::support::provider::{Provider, sign_in};
use crate::support::tus::{patch, post};
use crate::support::{Node, Oracle, Request, Upload};

const RATE: u64 = 4 << 20;

#[test]
fn a_persons_rate_holds_over_four_connections_in_both_directions() {
    let provider = Provider::start();
    let quotas = format!("  role_quotas: {{user: {{upload_speed_limit: {RATE}, download_speed_limit: {RATE}}}}}\n");
    let node = Node::setup().config(&provider.config(&quotas)).start();
    let ann = sign_in(&node, "ann");
    let size = 3 * RATE / 4;
    let content = Oracle(1).bytes(0..size);
    let uploads: Vec<Upload> = (0..4)
        .map(|_| {
            Upload::at(node.send(&by(&ann, post().header("Upload-Length", size.to_string()))).is(201).field("Location"))
        })
        .collect();
    let all_at_once = |work: &(dyn Fn(&Upload) + Sync)| {
        let began = Instant::now();
        std::thread::scope(|scope| uploads.iter().for_each(|upload| drop(scope.spawn(move || work(upload)))));
        began.elapsed().as_secs_f64()
    };
    // Three seconds' worth: a tenth of it at most may come early. How much later it ends is the machine's business.
    let up = all_at_once(&|upload| drop(node.send(&by(&ann, patch(upload, 0, &content))).is(204)));
    assert!(up >= 2.7, "{} bytes went up in {up} s", 4 * size);
    let down = all_at_once(&|upload| {
        let got = node.send(&by(&ann, Request::get(&upload.download()))).is(200);
        Oracle(1).check(0, &got.body).unwrap_or_else(|wrong| panic!("{wrong}"));
    });
    assert!(down >= 2.7, "{} bytes came down in {down} s", 4 * size);
    assert!(up < 30.0 && down < 30.0, "the rate is a limit, not a stop: {up} s, {down} s");
}
