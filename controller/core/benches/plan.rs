//! A pass with nothing to do, over 1,000 services and 10,000 secrets: the goal is 50 ms of CPU.
#![allow(clippy::unwrap_used, reason = "a bench")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use locket_core::*;
use locket_crds::id::{Fingerprint, ServiceName};
use locket_crds::reference::SecretRef;
use locket_crds::spec::{ChangeAction, ComposeService, Dependency, OnChange};

const SERVICES: usize = 1000;
const SECRETS: usize = 10;
const ROUNDS: u32 = 20;

fn main() {
    let start = Time(1_000_000_000_000_000);
    let mut desired = Desired {
        project: "big".into(),
        services: BTreeMap::new(),
        model: BTreeMap::new(),
    };
    let mut observed = Observed {
        boot: start.0,
        ..Observed::default()
    };
    let mut versions: BTreeMap<SecretRef, VersionSeen> = BTreeMap::new();
    for i in 0..SERVICES {
        let name = ServiceName::new(format!("service-{i}"));
        let references: BTreeSet<SecretRef> = (0..SECRETS)
            .map(|s| format!("local:{i}/{s}").parse().unwrap())
            .collect();
        versions.extend(
            references
                .iter()
                .map(|r| (r.clone(), VersionSeen("1".into()))),
        );
        let used = references
            .iter()
            .map(|r| (r.clone(), VersionSeen("1".into())))
            .collect();
        let on_change = OnChange {
            action: ChangeAction::Auto,
            timeout: None,
            stable: None,
            settle: None,
            restart_every: None,
        };
        let wanted = DesiredService {
            path: "/run/secrets".into(),
            items: vec![],
            references,
            on_change,
            digest: 1,
        };
        desired.services.insert(name.clone(), wanted);
        let mut model = ComposeService::default();
        if i > 0 {
            model.depends_on.insert(
                format!("service-{}", i - 1).into(),
                Dependency {
                    restart: i % 2 == 0,
                    ..Dependency::default()
                },
            );
        }
        desired.model.insert(name.clone(), model);
        let fingerprint = Fingerprint([u8::try_from(i % 256).unwrap(); 32]);
        let rendered = Rendered::Ready {
            fingerprint,
            handle: 0,
            metadata_only: false,
            changed: vec![],
            versions: used,
        };
        let log = vec![Published {
            seq: 1,
            fingerprint,
            at: start,
            boot: start.0,
        }];
        let seen = ObservedService {
            mounted: true,
            intact: true,
            log,
            rendered,
            ..ObservedService::default()
        };
        observed.services.insert(name.clone(), seen);
        observed.containers.push(ObservedContainer {
            id: ContainerId(format!("{i:064}")),
            name: format!("big-service-{i}-1"),
            service: name,
            number: 1,
            oneoff: false,
            has_volume: true,
            has_shim: true,
            state: ContainerState::Running,
            started_at: Some(start.after(Duration::from_secs(1))),
            finished_at: None,
            health: Health::None,
            restart_count: 0,
            exit_code: 0,
            probed: None,
            operation: None,
            probing: false,
            touched: None,
            checked_within: None,
            kept_up: false,
            stop_grace: None,
        });
    }
    let now = start.after(Duration::from_secs(3600));
    observed.boot = now.0;
    let policy = Policy::default();
    // The first pass takes everything down; the ones after it find nothing to do.
    let memory = plan(&desired, &observed, &Memory::default(), &policy, now).memory;
    observed
        .services
        .values_mut()
        .for_each(|s| s.rendered = Rendered::Unchanged);
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        let due = needs(&desired, &memory, &observed.services, &versions);
        assert!(due.services.is_empty());
        let planned = plan(&desired, &observed, &memory, &policy, now);
        assert!(planned.now.is_empty(), "{planned}");
    }
    let each = begin.elapsed() / ROUNDS;
    println!(
        "pass over {SERVICES} services / {} secrets with nothing to do: {each:?}",
        SERVICES * SECRETS
    );
}
