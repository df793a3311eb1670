//! A real login provider beside a node, and a person with a browser.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::{Node, wait};
use crate::clients::{installed, python, script};

/// Where browsers reach the node: a name of its own, as behind a proxy.
pub const PUBLIC: &str = "http://files.example.test";

/// The npm package `oidc-provider`; ends with the test.
pub struct Provider {
    issuer: String,
    child: Child,
}

impl Provider {
    #[track_caller]
    pub fn start() -> Self {
        let mut command = Command::new("node");
        // From standard input, so that modules are looked up in the working directory.
        command.args(["--input-type=module", "-", "--client", "etransfer", "--secret", "the-clients-secret"]);
        command.args(["--redirect", &format!("{PUBLIC}/api/users/callback")]).current_dir(installed().join("js"));
        let program = std::fs::File::open(script("oidc_provider.mjs")).expect("the provider's program");
        let mut child =
            command.stdin(program).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start node");
        let mut issuer = String::new();
        let out = child.stdout.take().expect("its standard output");
        BufReader::new(out).read_line(&mut issuer).expect("read the issuer");
        Self { issuer: issuer.trim().to_owned(), child }
    }

    /// A configuration with people who sign in here; `more` stands below `user_system`, indented by two.
    pub fn config(&self, more: &str) -> String {
        format!(
            "user_system:\n  enabled: true\n  oidc:\n    issuer_url: {}\n    client_id: etransfer\n    \
             client_secret: the-clients-secret\n    callback_url: {PUBLIC}\n{more}",
            self.issuer
        )
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last page that a person sees who opens `url` and signs in as `login`: its status and text.
#[track_caller]
pub fn browse(node: &Node, url: &str, login: &str) -> (u16, String) {
    let program = script("browser.py");
    let program = program.to_str().expect("paths of tests are UTF-8");
    let ran = wait::run(python(node, &[program, url, login, PUBLIC, &node.url()])).ok();
    let (status, page) = ran.stdout.split_once('\n').expect("a status line");
    (status.parse().expect("a status"), page.to_owned())
}

/// Signs `login` in through a browser; tells the token on the last page.
#[track_caller]
pub fn sign_in(node: &Node, login: &str) -> String {
    let (status, page) = browse(node, &format!("{PUBLIC}/api/users/login"), login);
    let token = page.split_once("<code>").and_then(|(_, rest)| rest.split_once("</code>")).map(|(token, _)| token);
    match (status, token) {
        (200, Some(token)) => token.to_owned(),
        _ => panic!("{login} is not signed in: {status} {page}"),
    }
}
