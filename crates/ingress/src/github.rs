//! GitHub as a source: its path, its headers, its signature.

use std::sync::Arc;

use booty_events::DeliveryId;
use booty_github::signature::Signature;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;

use crate::{
    answer::Refusal,
    decide::{self, Rules},
    source::{Decision, SignatureCheck, Source, only, signature_header},
};

const SIGNATURE: &str = "x-hub-signature-256";
const EVENT: &str = "x-github-event";
const DELIVERY: &str = "x-github-delivery";

/// GitHub's webhooks.
pub(crate) struct Github {
    secrets: Arc<[SecretString]>,
    rules: Rules,
}

impl Github {
    pub(crate) fn new(secrets: &[SecretString], rules: Rules) -> Self {
        Self { secrets: secrets.into(), rules }
    }
}

impl Source for Github {
    fn path(&self) -> &'static str {
        "/webhooks/github"
    }

    fn name(&self) -> &'static str {
        "github"
    }

    /// Only `X-Hub-Signature-256` counts; GitHub still sends the SHA-1 one beside it.
    fn signature(&self, headers: &HeaderMap) -> Result<SignatureCheck, Refusal> {
        let missing = "X-Hub-Signature-256 is missing; set a secret in the webhook's settings";
        let signature = signature_header(headers, SIGNATURE, missing, Signature::parse)?;
        Ok(SignatureCheck::new(signature, &self.secrets))
    }

    fn decide(&self, headers: &HeaderMap, body: &[u8], _sha256: &[u8; 32]) -> Decision {
        if body.is_empty() {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "empty", "the body is empty");
            return Decision::Refuse(refusal);
        }
        let delivery = only(headers, DELIVERY).and_then(|text| text.parse::<DeliveryId>().ok());
        let Some(delivery) = delivery else {
            return Decision::Refuse(Refusal::new(
                StatusCode::BAD_REQUEST,
                "delivery_id",
                "X-GitHub-Delivery must be there once, as 1 to 100 of A-Z a-z 0-9 _ -",
            ));
        };
        let Some(event) = only(headers, EVENT).filter(|event| !event.is_empty()) else {
            return Decision::Refuse(Refusal::new(
                StatusCode::BAD_REQUEST,
                "event_name",
                "X-GitHub-Event must be there once",
            ));
        };
        decide::decide(&self.rules, event, &delivery, body)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::allow::AllowList;

    fn github(secrets: &[&str]) -> Github {
        let secrets: Vec<SecretString> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        let rules = Rules { allowed: AllowList::nobody(), trigger_label: "x".to_owned() };
        Github::new(&secrets, rules)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    const PUBLISHED: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_published_vector_passes() {
        let github = github(&["It's a Secret to Everybody"]);
        let mut check = github.signature(&headers(&[(SIGNATURE, PUBLISHED)])).unwrap();
        check.update(b"Hello, ");
        check.update(b"World!");
        assert_eq!(check.finish(), Ok(()));
    }

    #[rstest]
    #[case::none(&[], 401)]
    #[case::sha1_only(&[("x-hub-signature", "sha1=00")], 401)]
    #[case::empty(&[(SIGNATURE, "")], 403)]
    #[case::two(&[(SIGNATURE, PUBLISHED), (SIGNATURE, PUBLISHED)], 403)]
    #[case::sha1_value(&[(SIGNATURE, "sha1=00")], 403)]
    fn odd_headers(#[case] pairs: &[(&'static str, &str)], #[case] status: u16) {
        let refusal = github(&["s"]).signature(&headers(pairs)).err().unwrap();
        assert_eq!(refusal.status, status);
    }
}
