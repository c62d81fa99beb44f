//! Notes the last good content: what all containers of a service run well with. A rollback goes back to it.

use std::time::Duration;

use locket_crds::id::ServiceName;

use crate::generation::Start;
use crate::model::{Health, ObservedContainer};
use crate::pass::Pass;

pub(crate) fn accept(pass: &mut Pass) {
    for service in pass.desired.services.keys() {
        let Some(current) = pass.current(service).map(|p| p.fingerprint) else {
            continue;
        };
        if pass
            .memory
            .services
            .get(service)
            .is_some_and(|m| m.accepted == Some(current) && m.failure.is_none())
        {
            continue;
        }
        let good = |it: &ObservedContainer| {
            matches!(pass.starts.get(&it.id), Some(Start::Known(own)) if own.fingerprint == current)
                && is_good(pass, service, it)
        };
        if pass.running(service).next().is_some()
            && pass.running(service).all(good)
            && !pass.has_intent(service)
        {
            let memory = pass.service(service);
            memory.accepted = Some(current);
            // It came up in the end; or what failed is not what is there any more. A rejection stands until the value changes.
            memory.failure.take_if(|f| !f.rejected);
        }
    }
}

/// Healthy; or, without a healthcheck, running for long enough.
fn is_good(pass: &Pass, service: &ServiceName, container: &ObservedContainer) -> bool {
    match container.health {
        Health::Healthy => true,
        Health::None => container
            .started_at
            .is_some_and(|s| pass.holds(s, stable(pass, service)).is_none()),
        Health::Starting | Health::Unhealthy => false,
    }
}

/// How long a container without a healthcheck must run to count as good.
pub(crate) fn stable(pass: &Pass, service: &ServiceName) -> Duration {
    pass.wanted(service)
        .and_then(|s| s.on_change.stable)
        .unwrap_or(Duration::from_secs(10))
}
