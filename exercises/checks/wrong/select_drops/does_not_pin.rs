//! Fails: E0277

use futures03::StreamExt as _;
use futures03::channel::mpsc::UnboundedReceiver;

fn main() {}

/// Reads the bytes of the next word, up to the space after it.
async fn word(bytes: &mut UnboundedReceiver<u8>) -> String {
    let mut word = String::new();
    while let Some(byte) = bytes.next().await {
        if byte == b' ' {
            break;
        }
        word.push(byte.into());
    }
    word
}

/// Reads the next word, and counts the beats that arrive before it is complete.
async fn word_and_beats(
    bytes: &mut UnboundedReceiver<u8>,
    beats: &mut UnboundedReceiver<()>,
) -> (String, usize) {
    let mut count = 0;
    let mut word = word(bytes);
    loop {
        tokio1::select! {
            biased;
            Some(()) = beats.next() => count += 1,
            word = &mut word => return (word, count),
        }
    }
}
