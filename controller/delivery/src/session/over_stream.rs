use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use super::tests::{Client, World, world};
use super::*;
use crate::protocol::frame_length;

/// A session at the other end of a socket.
fn serve_at(world: &World) -> (UnixStream, JoinHandle<Result<(), Error>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let roots = world.roots.clone();
    (ours, thread::spawn(move || serve(&roots, &theirs, &theirs)))
}

fn call(stream: &mut UnixStream, request: &Request) -> Response {
    use std::io::{Read as _, Write as _};
    stream
        .write_all(&protocol::frame(&request.encode()))
        .unwrap();
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).unwrap();
    let mut payload = vec![0; frame_length(prefix).unwrap()];
    stream.read_exact(&mut payload).unwrap();
    Response::decode(&payload).unwrap()
}

#[test]
fn a_session_over_a_stream_ends_with_its_input_and_gives_the_lease_back() {
    let world = world(&["api"]);
    let (mut stream, session) = serve_at(&world);
    let hello = Request::Hello {
        protocol: protocol::VERSION,
    };
    assert!(matches!(call(&mut stream, &hello), Response::Hello { .. }));
    let granted = call(&mut stream, &Request::Acquire { holder: "x".into() });
    assert_eq!(granted, Response::Granted { term: 1 });
    // Larger than what any pipe or socket holds, both ways.
    let bytes = vec![7; 3 << 20];
    let write = Request::WriteState {
        name: "big".into(),
        term: 1,
        bytes: bytes.clone(),
        durable: true,
    };
    assert_eq!(call(&mut stream, &write), Response::Done);
    let read = Request::ReadState { name: "big".into() };
    assert_eq!(call(&mut stream, &read), Response::State(Some(bytes)));
    assert_eq!(
        Client::new(&world).acquire("y"),
        Response::Held {
            holder: "x".into(),
            term: 1
        }
    );
    drop(stream);
    assert!(session.join().unwrap().is_ok());
    assert_eq!(
        Client::new(&world).acquire("y"),
        Response::Granted { term: 2 }
    );
}

#[test]
fn garbage_half_a_message_and_too_large_a_one_end_a_session() {
    use std::io::Write as _;
    let world = world(&[]);
    for (bytes, malformed) in [
        (&[1, 0, 0, 0, 99][..], true),
        (&[1, 0, 0, 0, 1], true),
        (&[0, 0, 0, 0], true),
        (&[9, 0], false),
        (&[9, 0, 0, 0, 1], false),
        (&[255, 255, 255, 255], false),
    ] {
        let (mut stream, session) = serve_at(&world);
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let ended = session.join().unwrap();
        assert!(
            matches!(&ended, Err(Error::Malformed(_)) if malformed)
                || matches!(&ended, Err(Error::Stream(_)) if !malformed),
            "{bytes:?} {ended:?}"
        );
    }
}

#[test]
fn silence_and_a_client_that_takes_nothing_are_noticed() {
    let patience = Duration::from_millis(1);
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert!(matches!(
        stream::read_frame(ours.as_fd(), patience),
        Err(Error::Silent(_))
    ));
    assert!(matches!(
        stream::write(ours.as_fd(), &vec![0; 8 << 20], patience),
        Err(Error::Silent(_))
    ));
}
