//! A compose project, described once for both worlds: as a compose file, and as what the fake engine has to be told besides.

use std::fmt::Write as _;

/// The image of all services. Whatever runs in it, by healthcheck, hook or hand, must be a tool that the fake has too:
/// `true`, `false`, `cat FILE`, `test -e FILE`, `grep -qv TEXT FILE`, `cp FROM TO`, `mkdir DIR`.
const IMAGE: &str = "locket-test/busybox";

/// A project.
pub struct Stack {
    /// `x-locket.defaults`, as flow YAML.
    pub defaults: &'static str,
    /// Secrets; each is of the same name in the built-in store.
    pub secrets: &'static [&'static str],
    /// Its services.
    pub services: Vec<Service>,
}

/// A service; each depends on the gate if it gets something.
#[derive(Default)]
pub struct Service {
    /// Its name.
    pub name: &'static str,
    /// What it depends on.
    pub after: &'static [(&'static str, Needs)],
    /// Its `x-locket`, as flow YAML; empty: it gets nothing.
    pub gets: &'static str,
    /// The program of its healthcheck, which runs every second and may fail once.
    pub check: &'static [&'static str],
    /// It has memory of its own at `/state`, gone with every stop.
    pub has_state: bool,
    /// `restart: always`
    pub always: bool,
}

/// What a service waits for in another.
#[derive(Clone, Copy)]
pub enum Needs {
    /// `service_started`
    Started,
    /// `service_healthy`
    Healthy,
    /// `service_healthy`, and a restart with it.
    HealthyAndRestart,
}

impl Stack {
    /// One without waiting times.
    pub fn new(secrets: &'static [&'static str], services: Vec<Service>) -> Self {
        Self {
            defaults: "{ settle: 0s, restart_every: 0s }",
            secrets,
            services,
        }
    }

    /// The compose file.
    pub fn compose(&self) -> String {
        let secrets: Vec<String> = self
            .secrets
            .iter()
            .map(|s| format!("{s}: local:{s}"))
            .collect();
        let mut text = format!(
            "x-locket:\n  defaults: {}\n  secrets: {{ {} }}\nservices:\n  locket: {{ provider: {{ type: locket }} }}\n",
            self.defaults,
            secrets.join(", ")
        );
        for service in &self.services {
            service.write(&mut text);
        }
        text
    }
}

impl Service {
    fn write(&self, text: &mut String) {
        let mut lines = vec![
            format!("image: {IMAGE}"),
            "pull_policy: never".to_owned(),
            // One line in its log for each start, which is how starts are counted.
            r#"command: [sh, -c, "echo started; exec sleep 86400"]"#.to_owned(),
            "stop_signal: SIGKILL".to_owned(),
        ];
        let gate = (!self.gets.is_empty()).then_some(("locket", Needs::Started));
        let after: Vec<String> = gate
            .iter()
            .chain(self.after)
            .map(|(name, needs)| {
                let how = match needs {
                    Needs::Started => "condition: service_started",
                    Needs::Healthy => "condition: service_healthy",
                    Needs::HealthyAndRestart => "condition: service_healthy, restart: true",
                };
                format!("{name}: {{ {how} }}")
            })
            .collect();
        if !after.is_empty() {
            lines.push(format!("depends_on: {{ {} }}", after.join(", ")));
        }
        if !self.check.is_empty() {
            let test = serde_json::json!(self.test());
            lines.push(format!(
                "healthcheck: {{ test: {test}, interval: 1s, retries: 2 }}"
            ));
        }
        if self.has_state {
            lines.push("tmpfs: [/state]".to_owned());
        }
        if self.always {
            lines.push("restart: always".to_owned());
        }
        if !self.gets.is_empty() {
            lines.push(format!("x-locket: {}", self.gets));
        }
        let _ = writeln!(text, "  {}:\n    {}", self.name, lines.join("\n    "));
    }

    /// The healthcheck's `test`.
    pub fn test(&self) -> Vec<String> {
        let words = std::iter::once("CMD").chain(self.check.iter().copied());
        words.map(str::to_owned).collect()
    }
}
