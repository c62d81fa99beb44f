//! A machine between locket and a backend that is broken, overloaded or hostile; the backend behind it is a real one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The backend's answer, unchanged.
    None,
    /// The connection is closed without an answer.
    Drop,
    /// The connection stays open without an answer.
    Silence,
    /// The backend's answer after so long.
    Late(Duration),
    /// The backend's answer, a byte at a time with such a pause before each.
    Drip(Duration),
    /// Half of the backend's body, and the end of the connection.
    Truncate,
    /// A value that never ends.
    Endless,
    /// 429, to be asked again after so many seconds.
    TooMany(u32),
    /// A way to somewhere else.
    Redirect(String),
    /// An answer with such a status and body.
    Say(u16, String),
}

/// Something that was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When.
    pub at: Instant,
    /// Request line and headers.
    pub head: String,
}

/// The machine. Without a backend behind it, it is a trap: a place that nobody should ever ask.
pub struct FaultProxy {
    address: String,
    state: Arc<State>,
}

struct State {
    backend: Option<String>,
    fault: Mutex<Fault>,
    asked: Mutex<Vec<Asked>>,
    sent: AtomicU64,
}

impl FaultProxy {
    /// In front of a backend, by its `http` URL.
    pub fn before(url: &str) -> Self {
        Self::start(url.strip_prefix("http://").map(str::to_owned), Fault::None)
    }

    /// Without one.
    pub fn trap() -> Self {
        Self::start(None, Fault::Drop)
    }

    fn start(backend: Option<String>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            backend,
            fault: Mutex::new(fault),
            asked: Mutex::default(),
            sent: AtomicU64::new(0),
        });
        let serves = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&serves);
                // Whoever has gone away is no failure of ours.
                std::thread::spawn(move || drop(state.answer(client)));
            }
        });
        Self { address, state }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens from now on, also to those who wait.
    pub fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Bytes of endless values that somebody has taken.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }
}

impl State {
    fn fault(&self) -> Fault {
        self.fault.lock().unwrap().clone()
    }

    fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&request).into_owned();
        let at = Instant::now();
        self.asked.lock().unwrap().push(Asked { at, head });
        let fault = self.fault();
        let say = |status: &str, more: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{body}"
            )
        };
        match &fault {
            Fault::Drop => Ok(()),
            Fault::Silence => {
                while self.fault() == fault {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
            Fault::None => client.write_all(&self.backend_s(&request)?),
            Fault::Late(pause) => {
                std::thread::sleep(*pause);
                client.write_all(&self.backend_s(&request)?)
            }
            Fault::Drip(pause) => {
                for byte in self.backend_s(&request)? {
                    std::thread::sleep(*pause);
                    client.write_all(&[byte])?;
                }
                Ok(())
            }
            Fault::Truncate => {
                let answer = self.backend_s(&request)?;
                let body = answer
                    .windows(4)
                    .position(|w| w == b"\r\n\r\n")
                    .unwrap_or(0)
                    + 4;
                client.write_all(&answer[..body + (answer.len() - body) / 2])
            }
            Fault::Endless => {
                let begin = r#"{"data":{"metadata":{"version":7},"data":{"key":""#;
                let length = begin.len();
                write!(
                    client,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{begin}\r\n"
                )?;
                let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
                while self.fault() == fault {
                    client.write_all(chunk.as_bytes())?;
                    self.sent.fetch_add(0x10000, Ordering::Relaxed);
                }
                Ok(())
            }
            Fault::TooMany(seconds) => {
                let more = format!("retry-after: {seconds}\r\n");
                client.write_all(say("429 Too Many Requests", &more, "{}").as_bytes())
            }
            Fault::Redirect(url) => {
                let more = format!("location: {url}\r\n");
                client.write_all(say("307 Temporary Redirect", &more, "").as_bytes())
            }
            Fault::Say(status, body) => {
                client.write_all(say(&format!("{status} It"), "", body).as_bytes())
            }
        }
    }

    /// The whole answer of the backend.
    fn backend_s(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let Some(address) = &self.backend else {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        };
        let mut backend = TcpStream::connect(address)?;
        let line = request.windows(2).position(|w| w == b"\r\n").unwrap_or(0);
        let (first, rest) = request.split_at(line);
        backend.write_all(&[first, b"\r\nconnection: close", rest].concat())?;
        let mut answer = Vec::new();
        backend.read_to_end(&mut answer)?;
        Ok(answer)
    }
}
