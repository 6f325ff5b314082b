// The future of the word lives as long as the function. In each round, the macro gets a reference to
// it, and drops the reference only. The future of `next` is made in each round, and that is fine: it
// keeps nothing between two polls, since the beats stay in their channel.

use std::pin::pin;

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
    let mut word = pin!(word(bytes));
    loop {
        tokio1::select! {
            biased;
            Some(()) = beats.next() => count += 1,
            word = &mut word => return (word, count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures03::channel::mpsc::unbounded;
    use std::pin::pin;
    use std::task::Poll;
    use support::{StdTask, within_time};

    #[test]
    fn a_word_without_a_beat_is_whole() {
        within_time(|| {
            let (peer, mut bytes) = unbounded();
            let (_heart, mut beats) = unbounded();
            let (mut read, task) = (pin!(word_and_beats(&mut bytes, &mut beats)), StdTask::new());
            assert_eq!(task.poll(read.as_mut()), Poll::Pending, "nothing was sent");
            for byte in *b"hello " {
                peer.unbounded_send(byte).unwrap();
            }
            assert!(task.wakes() > 0, "no wake-up came for the bytes");
            let output = task.poll(read.as_mut());
            assert_eq!(output, Poll::Ready(("hello".to_owned(), 0)), "one word");
        });
    }

    #[test]
    fn a_beat_in_the_middle_of_a_word_loses_nothing() {
        within_time(|| {
            let (peer, mut bytes) = unbounded();
            let (heart, mut beats) = unbounded();
            let (mut read, task) = (pin!(word_and_beats(&mut bytes, &mut beats)), StdTask::new());
            for byte in *b"hello" {
                peer.unbounded_send(byte).unwrap();
                assert_eq!(
                    task.poll(read.as_mut()),
                    Poll::Pending,
                    "the word has not ended"
                );
                let before = task.wakes();
                heart.unbounded_send(()).unwrap();
                assert!(
                    task.wakes() > before,
                    "no wake-up came for a beat: wait for beats and bytes at the same time"
                );
                assert_eq!(
                    task.poll(read.as_mut()),
                    Poll::Pending,
                    "the word has not ended"
                );
            }
            peer.unbounded_send(b' ').unwrap();
            let Poll::Ready((word, count)) = task.poll(read.as_mut()) else {
                panic!("the word has ended, and the future is not ready");
            };
            assert_eq!(
                word, "hello",
                "bytes were lost: which future is dropped when a beat arrives, and which bytes did \
                 it own?"
            );
            assert_eq!(count, 5, "the beats");
        });
    }
}
