//! The signed claims that an App proves itself with.
//!
//! <https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::Value;

use crate::answer::Refusal;
use crate::world::{App, World};

/// How far ahead `exp` may be, in seconds; there is no slack above it.
const MOST_AHEAD: i64 = 600;

/// Whether a bearer token wants to be one of these.
pub(super) fn looks_like_one(token: &str) -> bool {
    token.starts_with("eyJ") && token.matches('.').count() == 2
}

pub(crate) fn undecodable() -> Refusal {
    refused("A JSON web token could not be decoded")
}

fn refused(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, message).documented("https://docs.github.com/rest")
}

/// The App that signed a token.
pub(super) fn app<'a>(world: &'a World, token: &str) -> Result<&'a App, Refusal> {
    let (signed, signature) = token.rsplit_once('.').ok_or_else(undecodable)?;
    let (header, claims) = signed.split_once('.').ok_or_else(undecodable)?;
    if json(header)?.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(undecodable());
    }
    let claims = json(claims)?;
    let app = issuer(world, &claims)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| undecodable())?;
    if !app.signed(signed.as_bytes(), &signature) {
        return Err(undecodable());
    }
    check_times(&claims, world.instant())?;
    Ok(app)
}

fn json(part: &str) -> Result<Value, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| undecodable())?;
    serde_json::from_slice(&bytes).map_err(|_| undecodable())
}

/// `iss` is the App's id or its client id.
fn issuer<'a>(world: &'a World, claims: &Value) -> Result<&'a App, Refusal> {
    let found = match claims.get("iss") {
        None | Some(Value::Null) => {
            return Err(refused("Missing 'issuer' claim ('iss') in assertion"));
        }
        Some(Value::Number(id)) => id.as_u64().and_then(|id| world.apps.get(&id)),
        Some(Value::String(text)) => match text.parse::<u64>() {
            Ok(id) => world.apps.get(&id),
            Err(_) if text.starts_with("Iv") => {
                world.apps.values().find(|app| app.client_id == *text)
            }
            Err(_) => return Err(refused("'Issuer' claim ('iss') must be an Integer")),
        },
        Some(_) => return Err(refused("'Issuer' claim ('iss') must be an Integer")),
    };
    found.ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "Integration not found")
            .documented("https://docs.github.com/rest")
    })
}

fn check_times(claims: &Value, now: DateTime<Utc>) -> Result<(), Refusal> {
    let now = now.timestamp();
    let second = |name: &str| claims.get(name).and_then(Value::as_i64);
    match second("exp") {
        None => Err(refused(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time \
             at which the assertion expires",
        )),
        Some(exp) if exp <= now => Err(refused(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time \
             at which the assertion expires",
        )),
        Some(exp) if exp > now + MOST_AHEAD => {
            Err(refused("'Expiration time' claim ('exp') is too far in the future"))
        }
        Some(_) => Ok(()),
    }?;
    match second("iat") {
        Some(iat) if iat <= now => Ok(()),
        _ => Err(refused(
            "'Issued at' claim ('iat') must be an Integer representing the time that the \
             assertion was issued",
        )),
    }
}
