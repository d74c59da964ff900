//! Several frames in one message.

use super::frame::{BATCH, BATCH_MAX, FrameError};

/// Frames that go up together.
#[derive(Debug, Default)]
pub struct Batch(Vec<u8>);

impl Batch {
    /// False, and nothing added, where the frame would make the batch too large.
    pub fn push(&mut self, frame: &[u8]) -> bool {
        let (Ok(length), room) = (u32::try_from(frame.len()), BATCH_MAX.saturating_sub(self.0.len().max(1))) else {
            return false;
        };
        if frame.len() + 4 > room {
            return false;
        }
        if self.0.is_empty() {
            self.0.push(BATCH);
        }
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(frame);
        true
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The message, and the batch is empty again.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// The frames of a message of `uplink`, which is a batch or a frame. After an error nothing more comes.
pub fn split(message: &[u8]) -> impl Iterator<Item = Result<&[u8], FrameError>> {
    let size = message.len();
    let too_large = FrameError::TooLarge { what: "a batch", size, max: BATCH_MAX };
    let (mut refusal, batch, single) = match message.split_first() {
        Some((&BATCH, _)) if size > BATCH_MAX => (Some(too_large), &[][..], None),
        Some((&BATCH, rest)) => (None, rest, None),
        _ => (None, &[][..], Some(message)),
    };
    let mut frames = Frames(batch);
    let first = std::iter::from_fn(move || refusal.take().map(Err));
    first.chain(single.map(Ok)).chain(std::iter::from_fn(move || frames.next()))
}

struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    fn next(&mut self) -> Option<Result<&'a [u8], FrameError>> {
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        let truncated = Some(Err(FrameError::Truncated(rest.len())));
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return truncated };
        let Some((frame, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { return truncated };
        if frame.first() == Some(&BATCH) {
            return Some(Err(FrameError::BatchHere));
        }
        self.0 = rest;
        Some(Ok(frame))
    }
}
