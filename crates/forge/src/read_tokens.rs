//! Tokens for readers, over the bus: for one repository, to read, for an hour at most.

use std::sync::Arc;

use booty_events::{
    Message, RepoName,
    subject::RPC_FORGE_READ_TOKEN,
    v1::{ReadTokenReply, ReadTokenRequest},
};
use bytes::Bytes;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::{core::Core, error::Error};

/// One forge of all answers, the writer or not.
const GROUP: &str = "forge";

/// Answers until `shutdown`.
pub(crate) async fn serve(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), Error> {
    let bus = core.bus.clone();
    let answer = move |question| answer(Arc::clone(&core), question);
    Ok(bus.serve(RPC_FORGE_READ_TOKEN, GROUP, answer, shutdown).await?)
}

async fn answer(core: Arc<Core>, question: Bytes) -> Bytes {
    grant(&core, question).await.encode_to_vec().into()
}

async fn grant(core: &Core, question: Bytes) -> ReadTokenReply {
    let refused =
        |error: String, retryable| ReadTokenReply { error, retryable, ..ReadTokenReply::default() };
    let Ok(request) = ReadTokenRequest::decode(question) else {
        return refused("not a booty.v1.ReadTokenRequest".to_owned(), false);
    };
    let repo: RepoName = match request.repository.parse() {
        Ok(repo) => repo,
        Err(error) => return refused(format!("{:?}: {error}", request.repository), false),
    };
    let Some(app) = &core.app else {
        let why = "forge has a personal token, which it gives to nobody; set GITHUB_READ_TOKEN for \
                   the services that read";
        return refused(why.to_owned(), false);
    };
    let installation = Some(request.installation).filter(|id| *id != 0);
    if !request.refused.is_empty() {
        app.forget_read_token(&repo, installation, &request.refused).await;
    }
    match app.read_token(&repo, installation).await {
        Ok(granted) => ReadTokenReply {
            token: granted.token.expose_secret().to_owned(),
            expires: Some(granted.expires.into()),
            ..ReadTokenReply::default()
        },
        Err(error) => {
            tracing::warn!(%repo, error = %error, "no read token");
            refused(error.why, error.retryable)
        }
    }
}
