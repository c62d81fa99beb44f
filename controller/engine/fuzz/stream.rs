use std::sync::{Arc, Mutex};

use bollard::container::LogOutput;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;
use tokio::io::AsyncReadExt as _;

use crate::exec::{STDERR_KEPT, Stdout, Tail};

/// Pieces of a kind (two bits of a byte) and a length (a byte), and how much the reader takes at a time (the first byte).
fn frames(bytes: &[u8]) -> bool {
    let Some((most, mut rest)) = bytes.split_first() else {
        return false;
    };
    let (mut frames, mut stdout, mut stderr) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((head, tail)) = rest.split_first_chunk::<2>() {
        let (piece, after) = tail.split_at(tail.len().min(head[1].into()));
        let message = Bytes::copy_from_slice(piece);
        frames.push(Ok(match head[0] & 3 {
            0 => LogOutput::StdOut { message },
            1 => LogOutput::StdErr { message },
            2 => LogOutput::Console { message },
            _ => LogOutput::StdIn { message },
        }));
        match head[0] & 3 {
            0 | 2 => stdout.extend_from_slice(piece),
            1 => stderr.extend_from_slice(piece),
            _ => {}
        }
        rest = after;
    }
    let tail = Arc::new(Mutex::new(Tail::default()));
    let mut output = Stdout {
        frames: Box::pin(stream::iter(frames)),
        rest: Bytes::new(),
        stderr: tail.clone(),
    };
    let mut got = Vec::new();
    let mut buffer = vec![0; usize::from(*most).max(1)];
    // All of it is there: nothing waits.
    while let n @ 1.. = output.read(&mut buffer).now_or_never().unwrap().unwrap() {
        got.extend_from_slice(&buffer[..n]);
    }
    assert_eq!(got, stdout);
    let kept: Vec<u8> = tail.lock().unwrap().0.iter().copied().collect();
    assert_eq!(kept, stderr[stderr.len().saturating_sub(STDERR_KEPT)..]);
    !stdout.is_empty()
}

locket_fuzz::target!(exec_stream, reach: 20, frames);
