//! Where it listens, and with which certificate.

use super::*;
use crate::process::{follow_configuration, keep_listening};

fn free() -> u16 {
    let it = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    it.local_addr().unwrap().port()
}

async fn listens(port: u16) -> bool {
    tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_ok()
}

#[tokio::test]
async fn the_listener_follows_the_configuration_and_keeps_the_last_good_one() {
    let mut desk = Desk::new("{}").await;
    let (a, b, taken) = (
        free(),
        free(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let at = |port: u16, more: &str| format!("listen: {{ address: '127.0.0.1:{port}', {more} }}");
    desk.listener.follow().await.unwrap();
    desk.configure(&at(a, ""));
    desk.listener.follow().await.unwrap();
    assert!(listens(a).await);
    assert_eq!(status(&desk.get("/metrics", "").await), 404);

    desk.configure(&at(a, "metrics: true"));
    desk.listener.follow().await.unwrap();
    assert_eq!(status(&desk.get("/metrics", "").await), 200);

    let used = taken.local_addr().unwrap().port();
    desk.configure(&at(used, ""));
    let why = desk.listener.follow().await.unwrap_err();
    assert!(
        why.contains(&format!("127.0.0.1:{used} cannot be listened at")),
        "{why}"
    );
    desk.configure(&at(b, "hooks: { x: { secret: { file: /gone } } }"));
    let why = desk.listener.follow().await.unwrap_err();
    assert_eq!(
        why,
        "the secret of hook x cannot be read: there is no such file"
    );
    assert!(listens(a).await && !listens(b).await, "as it was");
    assert_eq!(status(&desk.get("/metrics", "").await), 200);

    desk.configure(&at(b, ""));
    desk.listener.follow().await.unwrap();
    assert!(listens(b).await && !listens(a).await);
    // The same port at another address.
    desk.configure(&format!("listen: {{ address: '[::ffff:127.0.0.1]:{b}' }}"));
    desk.listener.follow().await.unwrap();
    assert!(listens(b).await);
    desk.configure("{}");
    desk.listener.follow().await.unwrap();
    assert!(!listens(b).await);
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
    let mut desk = Desk::new("{}").await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    lock(&desk.files.0).insert("/cert".into(), made.cert.pem().into_bytes());
    lock(&desk.files.0).insert(
        "/key".into(),
        other.signing_key.serialize_pem().into_bytes(),
    );
    let port = free();
    desk.configure(&format!(
        "listen: {{ address: '0.0.0.0:{port}', metrics: true, tls: {{ cert: /cert, key: /key }} }}"
    ));
    let why = desk.listener.follow().await.unwrap_err();
    assert!(why.contains("/cert and /key do not go together"), "{why}");
    lock(&desk.files.0).insert("/key".into(), made.signing_key.serialize_pem().into_bytes());
    desk.listener.follow().await.unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connect = || tokio::net::TcpStream::connect(("127.0.0.1", port));
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(name, connect().await.unwrap())
        .await
        .unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    // Some servers end without a farewell; what was read counts.
    let _ = stream.read_to_string(&mut answer).await;
    assert_eq!(status(&answer), 200);

    let mut plain = connect().await.unwrap();
    plain
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_tried_again_however_often_the_store_changes() {
    let desk = Desk::new("{}").await;
    let port = free();
    desk.configure(&format!(
        "listen: {{ address: '127.0.0.1:{port}', hooks: {{ x: {{ secret: {{ file: /gone }} }} }} }}"
    ));
    let Desk {
        world,
        files,
        mut listener,
        ..
    } = desk;
    let service = world.service();
    let look_again = keep_listening(&mut listener, &service).await;
    let problem = service.listener_problem().unwrap();
    assert!(
        problem.contains("the secret of hook x cannot be read"),
        "{problem}"
    );
    let configure = Arc::clone(&files) as _;
    let following = Arc::clone(&service);
    let _task = Task::spawn(follow_configuration(
        following, configure, listener, look_again,
    ));
    lock(&files.0).insert("/gone".into(), SECRET.to_vec());
    sleep(Duration::from_secs(35)).await;
    assert_eq!(service.listener_problem(), None);
    assert!(listens(port).await);
}
