//! The program itself: its size, how long it takes to say its version, and what a start through the shim costs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use locket_e2e::Project;

use locket_e2e::table::{Samples, Table, mb, ms};

const RUNS: usize = 200;
/// Starts in one go inside the container, where the clock of a shell is too coarse for one.
const STARTS: usize = 200;

const COMPOSE: &str = r#"
x-locket:
  secrets: { token: "local:token" }
services:
  locket: { provider: { type: locket } }
  app:
    image: locket-test/busybox
    pull_policy: never
    command: [sleep, "86400"]
    stop_signal: SIGKILL
    depends_on: [locket]
    x-locket: { env: { TOKEN: token, URL: "postgres://app:{{ token }}@db/app" } }
"#;

fn run(program: &mut Command) -> Duration {
    let begun = Instant::now();
    let end = program.stdout(Stdio::null()).status().unwrap();
    assert!(end.success(), "{program:?}");
    begun.elapsed()
}

/// Size and `--version`.
pub fn binary(table: &mut Table) {
    let binary = locket_e2e::binary();
    let bytes = std::fs::metadata(&binary).unwrap().len();
    table.goal(
        "the static binary, everything in it",
        "≤ 8 MB",
        mb(bytes / 1024),
        bytes <= 8 << 20,
    );
    let (mut version, mut nothing) = (Samples::default(), Samples::default());
    for _ in 0..RUNS {
        version.add(run(Command::new(&binary).arg("--version")));
        nothing.add(run(&mut Command::new("/bin/true")));
    }
    table.goal(
        "`locket --version`, from fork to exit",
        "< 2 ms",
        version.to_string(),
        version.median() < Duration::from_millis(2),
    );
    table.plain("… `/bin/true`", nothing.to_string());
}

/// A start through the shim against one without: what the gate's wait finds done already, the variables, and exec.
pub fn shim(table: &mut Table, rounds: usize) {
    let mut project = Project::new("bench-shim", COMPOSE);
    project.store("token", "a value of some length");
    project.up(&[]);
    let app = project.container("app");
    let timed = |prefix: &str| {
        // A loop without a start in it is taken off by doing the same on both sides.
        let script = format!(
            "read a b </proc/uptime; i=0; while [ $i -lt {STARTS} ]; do {prefix} /bin/true; i=$((i+1)); done; read c d </proc/uptime; echo $a $c"
        );
        let text = app.exec(&["sh", "-c", &script]).ok().text();
        let both: Vec<f64> = text.split(' ').map(|n| n.parse().unwrap()).collect();
        Duration::from_secs_f64((both[1] - both[0]) / STARTS as f64)
    };
    let (mut through, mut bare) = (Samples::default(), Samples::default());
    let (mut run, mut with_env) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let without = timed("");
        let shimmed = timed("/sbin/docker-init --");
        bare.add(without);
        through.add(shimmed);
        run.add(shimmed.saturating_sub(without));
        with_env.add(timed("/sbin/docker-init with-env --").saturating_sub(without));
    }
    table.goal(
        format!("what the shim adds to a start, mean of {STARTS} in each round"),
        "< 1 ms",
        run.to_string(),
        run.median() < Duration::from_millis(1),
    );
    table.plain(
        "… a start through it, and one without, in the same container",
        format!("{}, {}", ms(through.median()), ms(bare.median())),
    );
    table.plain("… what `with-env` adds", with_env.to_string());
}
