//! Clients as people write them: a Python class on `requests`, curl, `fetch`.

use std::process::Command;

use super::{Device, complete, setup};
use crate::clients::{client_home, python, script, source};
use crate::support::node::clean_env;
use crate::support::{Node, Oracle, oracle, wait};

/// Of each file the device leaves.
pub const LENGTH: u64 = 5_000_001;

#[test]
fn a_python_device_uploads_in_three_orders_resumes_and_downloads() {
    python_device(&setup().start());
}

/// A device does what it can do; three files of this length are left.
pub fn python_device(node: &Node) {
    let (oracle, length) = (Oracle(1), LENGTH);
    let file = source(node, "device.bin", oracle, length);
    let out = node.dir().join("device.out");
    let url = format!("{}/sft", node.url());
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let (script, file, target) = (path(&script("sft_device.py")), path(&file), path(&out));
    wait::run(python(node, &[&script, &url, "device1", "password1", &file, &target])).ok();
    oracle::check_file(&out, oracle, length);
    let device = Device::one(node);
    for order in ["declared", "last-first", "in-order"] {
        assert_eq!(device.status(&format!("{order}.bin")), complete(&format!("{order}.bin"), length));
    }
}

#[test]
fn curl_and_fetch_send_a_chunk() {
    let node = setup().start();
    let device = Device::one(&node);
    let file = node.dir().join("chunk.bin");
    std::fs::write(&file, super::chunk(0, b"by curl")).expect("write a chunk");
    let (auth, url) =
        (format!("Authorization: Bearer {}", device.token), format!("{}/sft/api/files/upload?filename=", node.url()));
    let form = format!("file=@{}", file.display());
    let data = format!("@{}", file.display());
    for (name, body) in [("curl-form", ["-F", &form]), ("curl-raw", ["--data-binary", &data])] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "-H", &auth]).args(body);
        // `--data-binary` says urlencoded; what is no form is the chunk as it is.
        curl.arg(format!("{url}{name}")).env_clear().envs(clean_env(&client_home(&node)));
        wait::run(curl).ok();
        assert_eq!(device.download(name), b"by curl", "{name}");
    }
    let mut fetch = Command::new("node");
    let program = "const [url, token, name] = process.argv.slice(1);
        const data = new TextEncoder().encode('by fetch');
        const chunk = new Uint8Array(17 + data.length);
        new DataView(chunk.buffer).setBigUint64(8, BigInt(data.length - 1));
        chunk[16] = data.reduce((sum, byte) => (sum + byte) & 255, 0);
        chunk.set(data, 17);
        const form = new FormData();
        form.append('file', new Blob([chunk]), name);
        const reply = await fetch(url + name, {method: 'POST', body: form, headers: {Authorization: 'Bearer ' + token}});
        if (!reply.ok || (await reply.json()).status !== 'complete') process.exit(1);";
    fetch.args(["--input-type=module", "-e", program, &url, &device.token, "fetched"]);
    fetch.env_clear().envs(clean_env(&client_home(&node)));
    wait::run(fetch).ok();
    assert_eq!(device.download("fetched"), b"by fetch");
}
