//! Names and isolation: cases 21 to 23 of secure_file_transfer/CONTRACT.md §9.

use super::{Device, complete, detail, start};
use crate::support::audit;

#[test]
fn section_9_21_and_22_names_that_are_none_and_devices_apart() {
    let node = start();
    let (one, two) = (Device::one(&node), Device::log_in(&node, "device2", "password2"));
    let long = "n".repeat(300);
    for name in [
        "../device2/pwn.txt",
        "..%2Fdevice2%2Fpwn.txt",
        "a/b",
        "",
        ".",
        "..",
        "%2e%2e",
        "a%5Cb",
        "a%00b",
        "a%0d%0ab",
        "%ff",
        "%zz",
        &long,
    ] {
        let reply = one.send(name, 0, b"pwned", None).is(400);
        assert_eq!(reply.json(), detail("Invalid filename"), "{name}");
    }
    for (target, status) in [
        ("/api/files/status/..%2Fdevice2%2Fx", 400),
        ("/api/files/download/..%2f..%2fetc%2fpasswd", 400),
        ("/api/files/download/a/b", 404),
        ("/api/files/status/%2e%2e", 400),
    ] {
        one.ask("GET", target).is(status);
    }
    assert_eq!((one.list(), two.list()), (vec![], vec![]));
    assert!(audit::objects_below(node.storage()).is_empty());
    one.send("mine", 0, b"content", None).is(200);
    assert_eq!(two.list(), [""; 0]);
    two.ask("GET", "/api/files/download/mine").is(404);
    assert_eq!(two.ask("DELETE", "/api/files/mine").is(404).json(), detail("File mine not found"));
    two.send("mine", 0, b"other", None).is(200);
    assert_eq!((one.download("mine"), two.download("mine")), (b"content".to_vec(), b"other".to_vec()));
}

#[test]
fn section_9_23_any_other_name() {
    let node = start();
    let device = Device::one(&node);
    for (sent, name, disposition) in [
        ("a%20%22b%22%20%27c%27.txt", "a \"b\" 'c'.txt", "filename*=UTF-8''a%20%22b%22%20%27c%27.txt"),
        ("%E6%96%87%E4%BB%B6.bin", "文件.bin", "filename*=UTF-8''%E6%96%87%E4%BB%B6.bin"),
        ("%2E%2E%2E", "...", "filename*=UTF-8''..."),
        ("upload", "upload", "filename*=UTF-8''upload"),
    ] {
        assert_eq!(device.send(sent, 0, b"abc", None).is(200).json(), complete(name, 3), "{name}");
        assert_eq!(device.status(sent), complete(name, 3));
        let reply = device.ask("GET", &format!("/api/files/download/{sent}")).is(200);
        assert!(reply.field("Content-Disposition").ends_with(disposition), "{reply:?}");
        let gone = device.ask("DELETE", &format!("/api/files/{sent}")).is(200).json();
        assert_eq!(gone, detail(&format!("File {name} deleted successfully")));
    }
}
