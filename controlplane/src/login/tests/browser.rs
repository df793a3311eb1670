//! As much of a browser as a login needs: cookies by path, redirects, and one form.

use std::collections::HashMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};

use super::REDIRECT;

/// What the provider sent the browser back with.
#[derive(Debug)]
pub struct Returned {
    pub code: String,
    pub state: String,
}

pub struct Browser {
    client: Client,
    /// By path and name.
    cookies: HashMap<(String, String), String>,
}

impl Browser {
    pub fn new() -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { client, cookies: HashMap::new() }
    }

    /// Follows an authorize URL, signs in as `login` when asked, and stops where the provider sends it back.
    pub async fn sign_in(&mut self, authorize_url: &str, login: &str) -> Returned {
        let mut url = Url::parse(authorize_url).unwrap();
        let mut is_form = false;
        for _ in 0..10 {
            let request = if is_form {
                self.client.post(url.clone()).form(&[("login", login)])
            } else {
                self.client.get(url.clone())
            };
            let response = self.send(&url, request).await;
            let Some(location) = response.headers().get(LOCATION) else {
                assert!(response.status().is_success() && !is_form, "{url}: {}", response.text().await.unwrap());
                is_form = true;
                continue;
            };
            is_form = false;
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.as_str().starts_with(REDIRECT) {
                let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
                let field = |name: &str| query.get(name).unwrap_or_else(|| panic!("no {name} in {url}")).clone();
                return Returned { code: field("code"), state: field("state") };
            }
        }
        panic!("the provider never sends the browser back: {url}");
    }

    async fn send(&mut self, url: &Url, request: RequestBuilder) -> Response {
        let sent = self.cookies.iter().filter(|((path, _), _)| url.path().starts_with(path.as_str()));
        let sent: Vec<String> = sent.map(|((_, name), value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, sent.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let mut fields = cookie.to_str().unwrap().split("; ");
            let (name, value) = fields.next().unwrap().split_once('=').unwrap();
            let path = fields.find_map(|field| field.strip_prefix("path=")).unwrap_or("/");
            self.cookies.insert((path.to_owned(), name.to_owned()), value.to_owned());
        }
        response
    }
}
