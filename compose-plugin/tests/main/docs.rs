//! The reference pages know every word that the program says.

use std::collections::{BTreeMap, BTreeSet};

use locket_core::Reason;
use locket_crds::api::{self, ConditionKind};
use locket_crds::config::HostConfig;
use locket_provider::ErrorKind;
use serde::Serialize;
use serde::de::DeserializeOwned;

const API: &str = include_str!("../../../docs/reference/api.md");
const CONDITIONS: &str = include_str!("../../../docs/reference/conditions.md");
const LOCKET_YAML: &str = include_str!("../../../docs/reference/locket-yaml.md");
const PUSH: &str = include_str!("../../../docs/guides/push-and-metrics.md");

/// Words that are in no list: those of the report (`report.rs`), of the view and of the API (`view.rs`, `access.rs`).
const OTHERS: [&str; 29] = [
    "AsExpected",
    "ByUser",
    "ForeignAnchor",
    "Conflict",
    "HeldByAnother",
    "HookFailed",
    "HookRan",
    "Internal",
    "Invalid",
    "LabelConflict",
    "LeftAlone",
    "NoGeneration",
    "NotPublished",
    "NotStarted",
    "NotGranted",
    "NotHealthy",
    "Published",
    "Publishing",
    "Refused",
    "RestartFailed",
    "Restarted",
    "RolledBack",
    "RollingOut",
    "Signalled",
    "Timeout",
    "Unavailable",
    "UnknownOwner",
    "Unresolved",
    "NotFound",
];

/// All variants; one that is new does not compile before it is here.
macro_rules! all {
    ($type:ty: $($name:ident)*) => {{
        use $type as It;
        let complete = |it: It| match it { $(It::$name => (),)* };
        let _ = complete;
        [$(stringify!($name)),*]
    }};
}

fn words() -> BTreeSet<String> {
    let reasons = all!(Reason:
        MemoryChanged FirstDelivery ValueChanged MetadataChanged FilesDrifted DependencyRestarted StartUnknown
        StartAmbiguous RestartUnderWay StopFailed StartFailed BadValue HookDue Paused GateOpen ComposeBusy StoppedByUser Settling RestartEvery WaitsForReplica
        WaitsForDependency DependencyFailed HookPending HookFailed HookRunning NoRunningContainer JustStarted NotMounted
        Rejected NotSupportedYet NoController Verifying);
    let rendering = all!(locket_render::Reason:
        Missing EmptyValue NotText TooLarge TooMuchWork NulInEnv FilterFailed OneShotOnly);
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::Denied,
        ErrorKind::Unauthenticated,
        ErrorKind::Throttled { after: None },
        ErrorKind::Unavailable,
        ErrorKind::Invalid,
    ];
    let types = ConditionKind::ALL.map(|kind| kind.to_string());
    let named = reasons
        .into_iter()
        .chain(rendering)
        .chain(OTHERS)
        .chain(kinds.map(ErrorKind::reason));
    named.map(str::to_owned).chain(types).collect()
}

/// The first cells of all tables, where they are code.
fn rows(page: &str) -> BTreeSet<String> {
    let first = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    page.lines().filter_map(first).collect()
}

#[test]
fn every_reason_has_its_row_and_no_row_is_left_over() {
    let (words, rows) = (words(), rows(CONDITIONS));
    let missing: Vec<_> = words.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(&words).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "missing: {missing:?}, unknown: {unknown:?}"
    );
}

#[test]
fn the_example_of_locket_yaml_can_be_read() {
    let blocks_of = |page: &'static str| {
        let blocks = page.split("```yaml\n").skip(1);
        blocks.filter_map(|rest| rest.split("```").next())
    };
    let push = blocks_of(PUSH).filter(|block| block.starts_with("listen:"));
    let blocks: Vec<&str> = blocks_of(LOCKET_YAML).chain(push).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        assert_eq!(
            HostConfig::parse("locket.yaml", block).map(drop),
            Ok(()),
            "{block}"
        );
    }
}

/// A block's objects, read as this type, are what the program would write.
fn same<T: Serialize + DeserializeOwned>(block: &str) {
    for written in serde_json::Deserializer::from_str(block).into_iter::<serde_json::Value>() {
        let written = written.unwrap();
        let read: T =
            serde_json::from_value(written.clone()).unwrap_or_else(|e| panic!("{e}: {block}"));
        assert_eq!(serde_json::to_value(read).unwrap(), written);
    }
}

#[test]
fn the_examples_of_the_api_are_what_it_says() {
    for block in API
        .split("```json ")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
    {
        let (name, block) = block.split_once('\n').unwrap();
        match name {
            "Answerer" => same::<api::Answerer>(block),
            "ApplyRequest" => same::<api::ApplyRequest>(block),
            "Explain" => same::<api::Explain>(block),
            "Failure" => same::<api::Failure>(block),
            "PlanView" => same::<api::PlanView>(block),
            "Progress" => same::<api::Progress>(block),
            // Its type belongs to the controller alone.
            "RefreshRequest" => same::<BTreeMap<String, String>>(block),
            "Status" => same::<api::Status>(block),
            "Vec<Event>" => same::<Vec<api::Event>>(block),
            other => panic!("no type is known for {other}"),
        }
    }
}
