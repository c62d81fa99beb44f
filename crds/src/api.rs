//! The wire types of the controller's API, also what `--json` prints.
//!
//! Nothing in here holds a value of a secret: only names, references, versions and keyed fingerprints.
//! New fields may appear within one [`VERSION`]; a field never changes its meaning.

use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, ProjectName, ServiceName, SourceName};
use crate::spec::ProjectSpec;
pub use crate::time::Timestamp;

/// Version of these structures, in [`Status::version`] and in the URLs.
pub const VERSION: u32 = 1;

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// The version of the program that answers.
    pub locket: String,
    /// All projects that it looks after, or the one that was asked for.
    pub projects: Vec<ProjectStatus>,
}

/// One project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// Its name.
    pub project: ProjectName,
    /// Its directory on the client that applied it.
    pub working_dir: String,
    /// When its spec was applied.
    pub applied: Option<Timestamp>,
    /// One of each type, in the order of [`ConditionKind::ALL`].
    pub conditions: Vec<Condition>,
    /// Services that are given something.
    pub services: Vec<ServiceStatus>,
    /// Sources that the project uses.
    pub sources: Vec<SourceStatus>,
    /// What waits, and for what.
    pub waiting: Vec<Waiting>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub service: ServiceName,
    /// Sequence number of the current generation; 0: none yet.
    pub generation: u64,
    /// Fingerprint of the current generation.
    pub fingerprint: Option<Fingerprint>,
    /// One of each type, in the order of [`ConditionKind::ALL`].
    pub conditions: Vec<Condition>,
    /// Its containers.
    pub containers: Vec<ContainerStatus>,
}

/// One container of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state in the engine's word: `running`, `exited`, …; empty from a controller that does not say.
    #[serde(default)]
    pub state: String,
    /// The generation that it started with; `None`: unknown, or it does not run.
    pub started_with: Option<u64>,
    /// Why it does not run with what it should.
    pub outdated: Option<String>,
    /// Whether it mounts the service's volume; one that does not gets nothing.
    pub has_volume: bool,
}

/// One source of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub source: SourceName,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether its last answer was one.
    pub ready: bool,
    /// The last answer.
    pub last_contact: Option<Timestamp>,
    /// A bounded word for what is wrong; empty when it is ready.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

/// A step that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// For which service.
    pub service: ServiceName,
    /// What: `publish`, `restart`, …
    pub what: String,
    /// A bounded word for what it waits for.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// Until when at least, if that is known.
    pub until: Option<Timestamp>,
}

/// A condition, as Kubernetes has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: bool,
    /// A bounded word.
    pub reason: String,
    /// For people; may be empty.
    pub message: String,
    /// Since when it has this status.
    pub last_transition: Timestamp,
}

/// The types of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionKind {
    /// Every source answers.
    SourceReady,
    /// Every reference has a value, every template renders.
    Resolved,
    /// The current generation is what was asked for.
    Delivered,
    /// Every container runs with the current generation.
    RolledOut,
    /// All of the above.
    Ready,
    /// What is delivered may be out of date. False is good.
    Stale,
    /// Somebody has changed delivered files, or passes a container off as the anchor. False is good.
    Drifted,
    /// A user has paused the project. False is good.
    Paused,
}

impl ConditionKind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::SourceReady,
        Self::Resolved,
        Self::Delivered,
        Self::RolledOut,
        Self::Ready,
        Self::Stale,
        Self::Drifted,
        Self::Paused,
    ];

    /// The status that means that all is well.
    pub fn good(self) -> bool {
        !matches!(self, Self::Stale | Self::Drifted | Self::Paused)
    }
}

impl std::fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The variants' names are the words of the API.
        std::fmt::Debug::fmt(self, f)
    }
}

/// Something that happened; equal ones are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Rises with every event and every repetition; what `--follow` continues from.
    pub seq: u64,
    /// The project.
    pub project: ProjectName,
    /// The service, unless it is about the project.
    pub service: Option<ServiceName>,
    /// Whether it is as it should be.
    pub kind: EventKind,
    /// A bounded word: `Published`, `Restarted`, `RolledBack`, `HookFailed`, …
    pub reason: String,
    /// For people.
    pub message: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

/// How bad an [`Event`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// `GET /v1/projects/<project>/explain/<service>`: why things are as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explain {
    /// The project.
    pub project: ProjectName,
    /// How the service stands now.
    pub service: ServiceStatus,
    /// Its action in force, as `on_change` would write it.
    pub on_change: String,
    /// What it is given: target, and the references that it comes from.
    pub inputs: Vec<ExplainInput>,
    /// What waits for this service.
    pub waiting: Vec<Waiting>,
    /// What was done, the latest first.
    pub history: Vec<ExplainAct>,
}

/// One file or variable in an [`Explain`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainInput {
    /// `file config.toml`, `env DB_PASSWORD`.
    pub target: String,
    /// The references that it is made of.
    pub references: Vec<String>,
    /// `compose.yaml:12:7`.
    pub origin: String,
}

/// One thing that was done to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainAct {
    /// When.
    pub time: Timestamp,
    /// What: `publish`, `restart`, `signal HUP`, `exec`, `rollback`.
    pub action: String,
    /// The container's name, if it was done to one.
    pub container: Option<String>,
    /// The change that caused it.
    pub cause: String,
    /// The content before, by its fingerprint.
    pub from: Option<Fingerprint>,
    /// The content after.
    pub to: Option<Fingerprint>,
    /// `ok`, or what went wrong.
    pub result: String,
}

/// `GET /v1/version`: who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answerer {
    /// [`VERSION`].
    pub version: u32,
    /// The version of the program.
    pub locket: String,
    /// The engine that it looks after, by the engine's own id.
    pub engine: String,
}

/// How far an apply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyMode {
    /// Deliver; nothing is disrupted. What the gate asks for: while it waits, the project is held.
    Deliver,
    /// Deliver, then do to containers what has to be done.
    Act,
}

/// `POST /v1/projects/<project>/apply`; answered by a stream of [`Progress`], one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// What is wanted from now on; `None`: what was applied last.
    pub spec: Option<ProjectSpec>,
    /// How far to go.
    pub mode: ApplyMode,
}

/// One line of an apply's answer. The last one is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Something was done, or is waited for.
    Info(String),
    /// Something is not as it should be, but nobody has to stop for it.
    Warning(String),
    /// The end: what could be done is done.
    Done(Applied),
    /// The end: it could not be done.
    Failed(Failure),
}

/// The end of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// A controller did it and goes on looking after the project; otherwise it was one pass in the client.
    pub controller: bool,
    /// Services that have a complete generation, with its sequence number.
    pub delivered: Vec<(ServiceName, u64)>,
    /// Containers that still run with an old value: name, and why.
    pub outdated: Vec<(String, String)>,
    /// The directory that the project was applied from until now, if it is another one.
    #[serde(default)]
    pub moved_from: Option<String>,
}

/// `POST /v1/projects/<project>/plan`: what would be done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanView {
    /// Steps that would be run now, one line each.
    pub now: Vec<String>,
    /// What is expected to follow, or is held, one line each.
    pub later: Vec<String>,
    /// What keeps services from getting what they ask for, one line each.
    pub problems: Vec<String>,
}

impl PlanView {
    /// True when nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty() && self.later.is_empty()
    }
}

/// Why a request was not answered, with any HTTP status that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A bounded word: `NotFound`, `Invalid`, `Conflict`, `Internal`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hints: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_reads_like_one_of_kubernetes() {
        let it = Condition {
            kind: ConditionKind::RolledOut,
            status: false,
            reason: "HookFailed".into(),
            message: String::new(),
            last_transition: Timestamp(0),
        };
        let json = serde_json::to_string(&it).unwrap();
        expect_test::expect![[r#"{"type":"RolledOut","status":false,"reason":"HookFailed","message":"","last_transition":"1970-01-01T00:00:00.000Z"}"#]].assert_eq(&json);
        assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), it);
        assert_eq!(ConditionKind::RolledOut.to_string(), "RolledOut");
    }
}
