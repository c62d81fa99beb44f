use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::protocol::{Request, Response, frame};
use crate::session::read_frame;

fn requests(bytes: &[u8]) -> bool {
    let Ok(it) = Request::decode(bytes) else {
        return false;
    };
    // One spelling each: what is not as we write it is not ours.
    assert_eq!(*it.encode(), bytes);
    let again = Request::decode(&it.encode()).unwrap();
    assert!(again == it);
    let _ = it.name();
    if let Request::Publish { generation, .. } = &it {
        let _ = generation.check();
        // Of a generation that is shown, names are shown: a name may say what a value says.
        let mut shown = format!("{it:?}");
        let files = generation.files.iter().map(|f| &f.path);
        for name in files.chain(generation.env.iter().map(|v| &v.0)) {
            shown = shown.replace(&format!("{name:?}"), "");
        }
        for value in generation
            .env
            .iter()
            .map(|v| &v.1)
            .chain(generation.files.iter().map(|f| &f.bytes))
        {
            let value = String::from_utf8_lossy(value);
            assert!(!value.starts_with("c4n4ry") || !shown.contains(&*value));
        }
    }
    true
}

fn responses(bytes: &[u8]) -> bool {
    let Ok(it) = Response::decode(bytes) else {
        return false;
    };
    assert_eq!(*it.encode(), bytes);
    assert!(Response::decode(&it.encode()).unwrap() == it);
    true
}

/// The first byte says how large the pieces are in which the rest arrives: some whole frames, then whatever is left.
fn pieces(bytes: &[u8]) -> bool {
    let Some((size, rest)) = bytes.split_first() else {
        return false;
    };
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let patience = Duration::from_secs(5);
    let read = || read_frame(ours.as_fd(), patience);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let whole = frame(rest);
            for piece in whole.chunks(usize::from(*size).max(1)).chain([rest]) {
                // Who reads may have had enough.
                if theirs.write_all(piece).is_err() {
                    break;
                }
            }
        });
        assert_eq!(read().unwrap().as_deref().map(Vec::as_slice), Some(rest));
        let mut left = 0;
        let ended = loop {
            match read() {
                Ok(Some(payload)) => left += 4 + payload.len(),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        drop(ours.shutdown(std::net::Shutdown::Both));
        assert!(left <= rest.len() && (!ended || left == rest.len()));
        ended
    })
}

locket_fuzz::target!(anchor_requests, reach: 5, requests);
locket_fuzz::target!(anchor_responses, reach: 5, responses);
locket_fuzz::target!(anchor_stream, reach: 5, pieces);
