//! Frames between the builder and its child: a length of four bytes (big end first), then JSON.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest frame. Answers are clamped to a quarter of it and command output to far less, so a
/// longer one is a broken or hostile peer.
pub(crate) const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Why the peer can't be understood.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// The pipe.
    #[error("the pipe between builder and agent broke")]
    Pipe(#[from] std::io::Error),
    /// The other side is gone, at a frame's border.
    #[error("the other side closed the pipe")]
    Closed,
    /// More than the longest frame was announced or is to be sent.
    #[error("a frame of {0} bytes is longer than {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// Not the JSON that was expected.
    #[error("a frame can't be decoded")]
    Json(#[from] serde_json::Error),
}

/// Reads one frame. Not cancel-safe: a dropped read may have taken half a frame.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<T, FrameError> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(FrameError::Closed);
        }
        Err(error) => return Err(error.into()),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    // Grows with what arrives, so that an announced length alone takes no memory.
    let mut body = Vec::new();
    let got = from.take(length as u64).read_to_end(&mut body).await?;
    if got < length {
        return Err(FrameError::Closed);
    }
    Ok(serde_json::from_slice(&body)?)
}

/// Writes one frame and flushes.
pub(crate) async fn write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    frame: &T,
) -> Result<(), FrameError> {
    let body = serde_json::to_vec(frame)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= MAX_FRAME_BYTES)
        .ok_or(FrameError::TooLong(body.len()))?;
    to.write_all(&length.to_be_bytes()).await?;
    to.write_all(&body).await?;
    to.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_and_the_end_is_noticed() {
        let (mut a, mut b) = tokio::io::duplex(64);
        let sender = tokio::spawn(async move {
            write(&mut a, &"x".repeat(1000)).await.unwrap();
            write(&mut a, &7).await.unwrap();
        });
        assert_eq!(read::<String>(&mut b).await.unwrap().len(), 1000);
        assert_eq!(read::<u32>(&mut b).await.unwrap(), 7);
        sender.await.unwrap();
        assert!(matches!(read::<u32>(&mut b).await, Err(FrameError::Closed)));
    }

    #[tokio::test]
    async fn lying_lengths_are_refused() {
        let mut long: &[u8] = &[0xff, 0xff, 0xff, 0xff, b'1'];
        assert!(matches!(read::<u32>(&mut long).await, Err(FrameError::TooLong(_))));
        let mut short: &[u8] = &[0, 0, 1, 0, b'1'];
        assert!(matches!(read::<u32>(&mut short).await, Err(FrameError::Closed)));
        let mut garbage: &[u8] = &[0, 0, 0, 2, b'{', b'{'];
        assert!(matches!(read::<u32>(&mut garbage).await, Err(FrameError::Json(_))));
        let huge = "x".repeat(MAX_FRAME_BYTES);
        assert!(matches!(write(&mut Vec::new(), &huge).await, Err(FrameError::TooLong(_))));
    }
}
