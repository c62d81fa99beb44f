//! 1,000 templates on one secret that they share, and on 1,000 distinct ones, of a backend that takes 20 ms for each answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use locket_e2e::Project;

use crate::watch::{appears, inside};
use locket_e2e::table::{Samples, Table};

const TEMPLATES: usize = 1000;
const SLOW: Duration = Duration::from_millis(20);

/// A KV 2 server in which every secret has the number of the present round as its value and version.
#[derive(Default)]
struct Backend {
    round: u64,
    /// When each question about a version, and about a value, came in since the round began.
    versions: Vec<SystemTime>,
    values: Vec<SystemTime>,
}

fn serve(backend: &Arc<Mutex<Backend>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let backend = Arc::clone(backend);
    // Both end with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let backend = Arc::clone(&backend);
            std::thread::spawn(move || answer(stream.unwrap(), &backend));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, backend: &Mutex<Backend>) {
    stream.set_nodelay(true).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        // The head ends with an empty line; these requests have no body.
        while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
        let body = {
            let mut it = backend.lock().unwrap();
            let (round, time) = (it.round, "2026-01-01T00:00:00Z");
            if path.starts_with("/v1/secret/metadata/") {
                it.versions.push(SystemTime::now());
                format!(
                    r#"{{"data":{{"current_version":{round},"versions":{{"{round}":{{"created_time":"{time}","deletion_time":"","destroyed":false}}}}}}}}"#
                )
            } else if path.starts_with("/v1/secret/data/") {
                it.values.push(SystemTime::now());
                format!(
                    r#"{{"data":{{"data":{{"value":"round-{round}"}},"metadata":{{"version":{round},"created_time":"{time}"}}}}}}"#
                )
            } else if path.starts_with("/v1/sys/internal/ui/mounts/") {
                r#"{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}"#.to_owned()
            } else {
                r#"{"data":{"ttl":0,"renewable":false}}"#.to_owned()
            }
        };
        std::thread::sleep(SLOW);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if stream
            .write_all(format!("{head}{body}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}

fn compose(url: &str, token: &str, secrets: usize) -> String {
    let named: String = (0..secrets)
        .map(|n| format!("    s{n}: bao:secret/s{n}#value\n"))
        .collect();
    let templates: String = (0..TEMPLATES)
        .map(|n| {
            format!(
                "        - {{ content: \"value={{{{ s{} }}}}\", target: t{n} }}\n",
                n % secrets
            )
        })
        .collect();
    format!(
        r#"
x-locket:
  defaults: {{ settle: 0s, restart_every: 0s }}
  sources:
    bao: {{ type: openbao, url: "{url}", auth: {{ token: {{ file: {token} }} }}, refresh: 1h }}
  secrets:
{named}
services:
  locket: {{ provider: {{ type: locket }} }}
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket:
      on_change: none
      templates:
{templates}"#
    )
}

/// With so many distinct secrets.
pub fn rotate(table: &mut Table, secrets: usize, rounds: u64) {
    let backend = Arc::new(Mutex::new(Backend {
        round: 1,
        ..Backend::default()
    }));
    let url = serve(&backend);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token\n").unwrap();
    let text = compose(&url, token.to_str().unwrap(), secrets);
    let project = Project::new("bench-templates", &text);
    project.grant();
    let controller = project.controller(&[]);
    project.up(&[]);
    project.ready();
    std::thread::sleep(Duration::from_millis(1200));
    let app = project.container("app");
    let pid = app.inspect["State"]["Pid"].as_u64().unwrap();
    let last = inside(pid, &format!("/run/secrets/t{}", TEMPLATES - 1));
    let mut took = Samples::default();
    let (mut versions, mut values) = (0, 0);
    for round in 2..2 + rounds {
        *backend.lock().unwrap() = Backend {
            round,
            ..Backend::default()
        };
        let wanted = format!("value=round-{round}");
        let seen = std::thread::scope(|scope| {
            let reader = scope.spawn(|| appears(&last, wanted.as_bytes()));
            project.locket(&["refresh"]).ok();
            reader.join().unwrap()
        });
        let asked = backend.lock().unwrap();
        (versions, values) = (asked.versions.len(), asked.values.len());
        took.add(seen.duration_since(asked.versions[0]).unwrap());
    }
    controller.stop();
    let figure = format!("{values} of values after {versions} of versions; {took}");
    match secrets {
        1 => table.goal(
            "1,000 templates on one secret, 20 ms backend: reads, and the first of them → readable",
            "1 read of a value, < 0.1 s",
            figure,
            values == 1 && took.median() < Duration::from_millis(100),
        ),
        _ => table.plain(
            format!("… on {secrets} distinct secrets, 8 requests at once"),
            figure,
        ),
    }
}
