//! A pass that finds nothing to do: calls to the engine, time on a processor, and allocations.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use locket_controller::fake::World;
use locket_e2e::alloc;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::watch::cpu;
use locket_e2e::table::{Table, ms};

const PASSES: u32 = 20;
/// On the paused clock: until a pass that was asked for has ended.
const OVER: Duration = Duration::from_millis(100);

fn compose(services: usize, secrets: usize) -> String {
    let mut text = "x-locket:\n  secrets:\n".to_owned();
    for n in 0..services * secrets {
        let _ = writeln!(text, "    s{n}: local:s{n}");
    }
    text.push_str("services:\n  locket: { provider: { type: locket } }\n");
    for service in 0..services {
        let names: Vec<String> = (0..secrets)
            .map(|n| format!("s{}", service * secrets + n))
            .collect();
        let _ = writeln!(
            text,
            "  a{service}:\n    image: locket-test/busybox\n    depends_on: [locket]\n    x-locket: [{}]",
            names.join(", ")
        );
    }
    text
}

/// A whole pass on the fake engine.
pub fn whole(table: &mut Table, services: usize, secrets: usize) {
    let group = alloc::Group::begin();
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .on_thread_start(move || group.join())
        .build()
        .unwrap();
    let (calls, each, times) = runtime.block_on(Box::pin(async {
        let mut world = World::alone("shop", &compose(services, secrets)).await;
        for n in 0..services * secrets {
            world.backend.set(&format!("s{n}"), "a value");
        }
        world.up().await.unwrap();
        // While compose makes a thousand containers, a controller would look at them a thousand times.
        world.start_controller().await;
        world.ready().await;
        sleep(Duration::from_secs(30)).await;
        let (calls, times, before) = (world.fake.calls(), alloc::here().times, cpu("self"));
        for _ in 0..PASSES {
            world.refresh().await.unwrap();
            sleep(OVER).await;
        }
        let each = (cpu("self") - before) / PASSES;
        let times = (alloc::here().times - times) / u64::from(PASSES);
        let calls = world.fake.calls() - calls;
        (calls as f64 / f64::from(PASSES), each, times)
    }));
    table.goal(
        format!(
            "engine calls of a pass with nothing to do, {services} services / {} secrets",
            services * secrets
        ),
        "≤ 5",
        format!("{calls}"),
        calls <= 5.0,
    );
    table.plain(
        "… CPU of that pass with its questions to the backend and its look at every file, fake engine and anchor included",
        ms(each),
    );
    table.plain("… its allocations, all of that included", times.to_string());
}

/// The planner's part of it, which has a bench of its own.
pub fn planner(table: &mut Table) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let args = [
        "bench",
        "--locked",
        "-q",
        "--manifest-path",
        manifest,
        "-p",
        "locket-core",
        "--bench",
        "plan",
    ];
    let out = Command::new(cargo).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find(|l| l.contains("nothing to do"));
    let line = line.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    let (what, took) = line.rsplit_once(": ").unwrap();
    let number = took.trim_end_matches(char::is_alphabetic);
    let took = match took.trim_start_matches(number) {
        "ms" => number.parse::<f64>().unwrap(),
        "µs" => number.parse::<f64>().unwrap() / 1e3,
        other => panic!("{other}"),
    };
    table.goal(
        format!(
            "the planner alone, {}",
            what.replace(" with nothing to do", "")
        ),
        "< 50 ms of CPU",
        ms(Duration::from_secs_f64(took / 1e3)),
        took < 50.0,
    );
}
