//! The only program of a scratch image. Without arguments it idles until SIGTERM;
//! `cat FILE` prints a file, `environ NAME` a variable of PID 1, `check FILE` is a healthcheck: 0 if the file has bytes.

use std::io::Write;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn pause() -> i32;
    fn _exit(code: i32) -> !;
}

/// As PID 1 a signal without a handler would be ignored, and every stop would last its whole grace period.
extern "C" fn end(_: i32) {
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { _exit(0) }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = match words[..] {
        [] => {
            // SAFETY: the handler calls nothing but `_exit`; `pause` has no preconditions.
            unsafe {
                signal(15, end);
                loop {
                    pause();
                }
            }
        }
        ["cat", file] => std::fs::read(file).ok(),
        ["environ", name] => std::fs::read("/proc/1/environ").ok().and_then(|all| {
            let prefix = format!("{name}=");
            all.split(|b| *b == 0)
                .find_map(|line| line.strip_prefix(prefix.as_bytes()).map(<[u8]>::to_vec))
        }),
        ["check", file] => std::fs::read(file)
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .map(|_| Vec::new()),
        _ => None,
    };
    match found {
        Some(bytes) => std::io::stdout().write_all(&bytes).unwrap_or(()),
        None => std::process::exit(1),
    }
}
