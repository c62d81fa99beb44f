//! What strangers can bring about.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_signed_push_brings_what_the_next_poll_would_have_brought_in_hours() {
    let desk = Desk::up().await;
    sleep(Duration::from_secs(60)).await;
    desk.world.backend.set("key", "two");
    let begin = Instant::now();
    assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 202);
    desk.world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    desk.world.ready().await;
    assert_eq!(desk.world.view("api").starts, 2);
    assert_eq!(desk.pushes("accepted"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_signed_right_asks_nobody_and_is_told_nothing() {
    let desk = Desk::up().await;
    let before = desk.asked();
    let good = signed(NOW, "{}");
    for (source, header, body) in [
        ("local", "x-nothing: x", "{}"),
        ("local", &*good, "{ }"),
        ("local", &*signed(NOW - 301, "{}"), "{}"),
        ("local", &*signed(NOW + 301, "{}"), "{}"),
        ("gh", &*good, "{}"),
        ("nobody", &*good, "{}"),
        ("", &*good, "{}"),
        ("local/x", &*good, "{}"),
    ] {
        let request = format!(
            "POST /v1/hooks/{source} HTTP/1.1\r\nhost: x\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = desk.ask(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head: Vec<&str> = head.lines().filter(|l| !l.starts_with("date")).collect();
        assert_eq!(
            (head.join("|").as_str(), body),
            (
                "HTTP/1.1 401 Unauthorized|connection: close|content-length: 0",
                ""
            ),
            "{source} {header}"
        );
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(desk.asked(), before);
    assert_eq!(
        (
            desk.pushes("refused"),
            desk.sum("locket_hooks_total", "source=\"\"")
        ),
        (8.0, 3.0)
    );
}

/// Both are signed alike: a script signs the second, and some senders sign a body that is always the same.
#[tokio::test(start_paused = true)]
async fn a_second_change_in_the_same_second_is_not_lost() {
    let desk = Desk::up().await;
    sleep(Duration::from_secs(60)).await;
    for value in ["two", "three", "four"] {
        desk.world.backend.set("key", value);
        assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 202);
        let arrives = async |w: &World| w.has("api", "key") == value;
        let begin = Instant::now();
        desk.world.until("the value arrives", arrives).await;
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(15), "{value}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pushes_that_are_sent_again_are_few_questions() {
    let desk = Desk::up().await;
    assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 202);
    let github = format!("x-hub-signature-256: sha256={}", sign("{}"));
    assert_eq!(desk.post("gh", &github, "{}").await, 202);
    sleep(Duration::from_secs(30)).await;
    let before = desk.sum("locket_queue_adds", "");
    desk.clock.fetch_add(30, Relaxed);
    for _ in 0..20 {
        assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 202);
        assert_eq!(desk.post("gh", &github, "{}").await, 202);
    }
    sleep(Duration::from_secs(20)).await;
    // One for each hook.
    assert_eq!(desk.sum("locket_queue_adds", "") - before, 2.0);
    assert_eq!(
        (desk.pushes("accepted"), desk.pushes("repeated")),
        (2.0, 40.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pushes_are_a_few_questions_and_the_last_is_not_lost() {
    let desk = Desk::up().await;
    let before = desk.asked();
    for n in 0..1000 {
        if n == 999 {
            sleep(Duration::from_millis(10)).await;
            desk.world.backend.set("key", "two");
        }
        let body = n.to_string();
        let status = desk.post("local", &signed(NOW, &body), &body).await;
        assert!(matches!(status, 202 | 429), "{status}");
    }
    desk.world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    desk.world.ready().await;
    sleep(Duration::from_secs(60)).await;
    // Two secrets each time: at the first push, and when the pace allows the next.
    assert!(desk.asked() - before <= 4.0, "{}", desk.asked() - before);
    assert_eq!(desk.pushes("accepted"), 100.0);
    assert_eq!(desk.pushes("limited"), 900.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_slowly_or_without_end_is_cut_off_and_holds_nobody_up() {
    let desk = Desk::up().await;
    let mut slow = Vec::new();
    for start in [
        "",
        "POST /v1/ho",
        "POST /v1/hooks/local HTTP/1.1\r\ncontent-length: 9\r\n\r\nx",
    ] {
        let mut stream = desk.connect();
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 202);
    let begin = Instant::now();
    for mut stream in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
    assert_eq!(begin.elapsed().as_secs(), 10);
    assert_eq!(desk.sum("locket_listener_connections", ""), 0.0);
    let large = "x".repeat((64 << 10) + 1);
    assert_eq!(desk.post("local", &signed(NOW, &large), &large).await, 413);
    let head = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(20 << 10)
    );
    assert_eq!(status(&desk.ask(head.as_bytes()).await), 431);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_configured_is_there() {
    let desk = Desk::new(LISTEN).await;
    assert_eq!(status(&desk.get("/v1/hooks/local", "").await), 405);
    assert_eq!(status(&desk.get("/v1/status", "").await), 404);
    let answer = desk.get("/metrics", "").await;
    assert!(
        answer.contains("application/openmetrics-text") && answer.ends_with("# EOF\n"),
        "{answer}"
    );

    let desk = Desk::new("listen: { address: '127.0.0.1:9480' }").await;
    assert_eq!(status(&desk.get("/metrics", "").await), 404);
    assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 401);

    let desk =
        Desk::new("listen: { address: '127.0.0.1:9480', metrics: { token: { file: /hook } } }")
            .await;
    let token = |it: &str| format!("authorization: Bearer {it}\r\n");
    let good = token(std::str::from_utf8(SECRET).unwrap());
    assert_eq!(status(&desk.get("/metrics", &good).await), 200);
    for bad in ["", &token("sixteen"), "authorization: Basic x\r\n"] {
        assert_eq!(status(&desk.get("/metrics", bad).await), 401);
    }
}
