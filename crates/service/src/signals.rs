//! When a process is asked to stop.

use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Cancelled at the first SIGTERM or SIGINT. With `supervised`, also when stdin ends: the supervisor
/// holds its other end, so a supervisor that was killed takes its children along.
///
/// # Errors
/// When the signal handlers can't be installed.
pub fn shutdown(supervised: bool) -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = token.clone();
    tokio::spawn(async move {
        let why = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = stdin_ends(), if supervised => "the supervisor is gone",
        };
        tracing::info!(event = "shutdown_started", why, "stopping");
        asked.cancel();
    });
    Ok(token)
}

async fn stdin_ends() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while let Ok(1..) = stdin.read(&mut buffer).await {}
}
