//! `et whoami`: the user of the session as the server sees it now, and what is left of the quota.

use clap::Args;
use etransfer_client::{Address, Client, Error, QuotaUse, Secret, User};
use serde_json::json;

use crate::args::{OutputArgs, RemoteArgs};
use crate::exit::CliError;
use crate::home::Home;
use crate::printer::Printer;
use crate::saved::Saved;
use crate::{human, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Asks the server; exit 1 without a session that holds.
pub fn run(args: &WhoamiArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let saved = Home::of_user().saved()?;
    let server = remote::server(args.remote.server.as_deref(), &saved)?;
    let token = token(args, &saved, &server)?;
    let client = Client::new(server.clone(), Some(token.expose()));
    let user = client.me().map_err(|error| about_session(error, &server))?;
    let quota = client.quota_use().map_err(|error| about_session(error, &server))?;
    let expires_at = saved.expires_at.filter(|_| saved.token == Some(token));
    if printer.is_json() {
        let server = server.to_string();
        let all = json!({ "server": server, "user": user, "quota": quota, "expires_at": expires_at });
        return Ok(printer.json(&all)?);
    }
    for (name, value) in lines(&server, &user, &quota, expires_at) {
        printer.data(format_args!("{name:<11} {}", human::visible(&value)))?;
    }
    Ok(())
}

/// Given, or saved and not over. A token left by a local server is no session and is not tried.
fn token(args: &WhoamiArgs, saved: &Saved, server: &Address) -> anyhow::Result<Secret> {
    if let Some(given) = remote::given_token(args.remote.token.as_ref())? {
        return Ok(given);
    }
    match saved.token_for(server) {
        None => Err(CliError::NotLoggedIn { server: server.to_string() }.into()),
        Some(_) if saved.is_expired() => Err(CliError::SessionExpired { server: server.to_string() }.into()),
        Some(token) => Ok(token.clone()),
    }
}

/// What a refusal means when it is about who we are.
fn about_session(error: Error, server: &Address) -> anyhow::Error {
    let server = server.to_string();
    match error {
        Error::Unauthorized { .. } => CliError::NoSession { server }.into(),
        Error::NotFound { .. } | Error::Refused { status: 501, .. } => CliError::NoUsers { server }.into(),
        other => other.into(),
    }
}

fn lines(server: &Address, user: &User, quota: &QuotaUse, expires_at: Option<String>) -> Vec<(&'static str, String)> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let role = match user.is_admin && user.role != "admin" {
        true => format!("{}, administrator", user.role),
        false => user.role.clone(),
    };
    let limits = quota.quota.as_ref();
    let file_limit = limits.and_then(|limits| limits.max_upload_size).map(human::size);
    [
        ("user", Some(user.username.clone())),
        ("name", given(&user.display_name)),
        ("mail", given(&user.email)),
        ("role", Some(role)),
        ("groups", Some(user.groups.join(", ")).filter(|groups| !groups.is_empty())),
        ("used", Some(used(quota.storage_used, limits.and_then(|limits| limits.max_storage_size)))),
        ("file limit", Some(file_limit.unwrap_or("none".to_owned()))),
        ("server", Some(server.to_string())),
        ("expires", expires_at),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn used(bytes: u64, max: Option<u64>) -> String {
    match max {
        None => format!("{}, unlimited", human::size(bytes)),
        Some(max) => format!("{} of {} ({}%)", human::size(bytes), human::size(max), human::percent(bytes, max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_of_a_quota_is_told_with_and_without_a_limit() {
        for (bytes, max, expected) in [
            (0, None, "0 B, unlimited"),
            (512, Some(1024), "512 B of 1.0 KiB (50%)"),
            (2048, Some(1024), "2.0 KiB of 1.0 KiB (200%)"),
            (0, Some(0), "0 B of 0 B (100%)"),
        ] {
            assert_eq!(used(bytes, max), expected);
        }
    }

    #[test]
    fn section_6_2_users_of_every_generation_can_be_told() {
        let server = "node:1".parse().unwrap();
        let quota: QuotaUse = serde_json::from_value(json!({"storage_used": 1, "quota": null})).unwrap();
        for (user, expected) in [
            (json!({"username": "anna", "role": "user", "display_name": null}), vec!["anna", "user"]),
            (json!({"username": "anna", "role": "user", "display_name": ""}), vec!["anna", "user"]),
            (
                json!({"username": "anna", "role": "user", "is_admin": true, "display_name": "Anna", "email": "a@b.c",
                       "groups": ["x", "y"]}),
                vec!["anna", "Anna", "a@b.c", "user, administrator", "x, y"],
            ),
            (json!({"username": "root", "role": "admin", "is_admin": true}), vec!["root", "admin"]),
        ] {
            let user: User = serde_json::from_value(user).unwrap();
            let told: Vec<String> = lines(&server, &user, &quota, None).into_iter().map(|(_, value)| value).collect();
            let expected: Vec<&str> = expected.into_iter().chain(["1 B, unlimited", "none", "http://node:1"]).collect();
            assert_eq!(told, expected);
        }
    }
}
