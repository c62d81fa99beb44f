//! The page of metrics is what a controller answers.

use super::*;

/// What a scrape says about itself: name, type, labels, meaning.
fn described(text: &str) -> Vec<[String; 4]> {
    let mut out: Vec<[String; 4]> = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let help = help.trim_end_matches('.').to_owned();
            out.push([
                format!("{name}{suffix}"),
                kind.to_owned(),
                String::new(),
                help,
            ]);
        } else if !line.starts_with('#') {
            let it = out.last_mut().unwrap();
            assert!(line.starts_with(&it[0]), "{line} is not {}", it[0]);
            let labels = line
                .split_once('{')
                .map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let names = labels.split(',').filter_map(|l| Some(l.split_once('=')?.0));
            let names: Vec<String> = names
                .filter(|n| *n != "le")
                .map(|n| format!("`{n}`"))
                .collect();
            it[2] = if names.is_empty() {
                "–".to_owned()
            } else {
                names.join(", ")
            };
        }
    }
    out
}

const PAGE: &str = "# Metrics

`GET /metrics` of the controller's [listener](../guides/push-and-metrics.md), in the text format of OpenMetrics, which Prometheus reads.
This page is made from what a controller answers: `UPDATE_EXPECT=1 cargo test -p locket-controller --lib listen::tests::page`.

Labels are names of projects, services and sources, and bounded words. No label and no number tells the name of a secret, or anything of a value.
`reason`, `cause` and `condition` are the words of [conditions, reasons and events](conditions.md).
Compose files may name any number of sources: after a hundred names a backend's further ones are counted together, as `(others)`.
Times are seconds since 1970, so an age is `time() - …`. Counters begin at zero with the controller; those of a project end with it.

| metric | type | labels | what |
|---|---|---|---|
";

#[tokio::test(start_paused = true)]
async fn every_metric_is_there_and_the_page_names_it() {
    let desk = Desk::up().await;
    desk.world
        .backend
        .fail_with(Some(locket_provider::ErrorKind::Unavailable));
    desk.world.refresh().await.unwrap();
    sleep(Duration::from_secs(30)).await;
    desk.world.backend.fail_with(None);
    desk.world.backend.set("key", "two");
    assert_eq!(desk.post("local", &signed(NOW, "{}"), "{}").await, 202);
    desk.world
        .until("the value arrives", async |w| w.has("api", "key") == "two")
        .await;
    desk.world.ready().await;
    let text = scrape::text(&desk.world.service());
    for (series, at_least) in [
        ("locket_deliveries_total{project=\"shop\"}", 2.0),
        (
            "locket_restarts_total{project=\"shop\",cause=\"ValueChanged\"}",
            1.0,
        ),
        (
            "locket_project_condition{project=\"shop\",condition=\"Ready\"}",
            1.0,
        ),
        ("locket_generation{project=\"shop\",service=\"api\"}", 2.0),
        (
            "locket_backend_errors_total{source=\"local\",operation=\"versions\",reason=\"Unavailable\"}",
            1.0,
        ),
        (
            "locket_backend_call_duration_seconds_count{source=\"local\",operation=\"values\"}",
            2.0,
        ),
        (
            "locket_versions_total{project=\"shop\",from=\"memory\"}",
            1.0,
        ),
        ("locket_container_inspects_total{from=\"memory\"}", 1.0),
        (
            "locket_pass_duration_seconds_count{outcome=\"looked\"}",
            2.0,
        ),
        (
            "locket_hooks_total{source=\"local\",outcome=\"accepted\"}",
            1.0,
        ),
        ("locket_build_info{version=\"test\"}", 1.0),
    ] {
        let found = text
            .lines()
            .find_map(|l| l.strip_prefix(series)?.trim().parse::<f64>().ok());
        assert!(
            found.is_some_and(|n| n >= at_least),
            "{series} is {found:?}\n{text}"
        );
    }
    let all = described(&text);
    for [name, _, labels, help] in &all {
        assert!(
            name.starts_with("locket_") && !labels.is_empty() && !help.is_empty(),
            "{name} is not there\n{text}"
        );
    }
    let rows: String = all
        .iter()
        .map(|[name, kind, labels, help]| format!("| `{name}` | {kind} | {labels} | {help} |\n"))
        .collect();
    expect_test::expect_file!["../../../../docs/reference/metrics.md"]
        .assert_eq(&format!("{PAGE}{rows}"));
}
