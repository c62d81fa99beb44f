//! Mounts of the user's own in the place of a service's volume: compose would let one replace the other without a word.

use locket_crds::diag::{Code, Diagnostic};
use locket_crds::spec::ProjectSpec;

use crate::generate::{INIT, PROJECT_VOLUME, needs_volume, volume_of};

/// The problems of all services.
pub fn overlaps(spec: &ProjectSpec) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for (name, asked) in spec
        .services
        .iter()
        .filter(|(_, asked)| needs_volume(asked))
    {
        let Some(model) = spec.model.get(name) else {
            continue;
        };
        if asked.path.contains(';') {
            let message =
                format!("the path of service {name} contains `;`, which its shim cannot be told");
            out.push(Diagnostic::new(
                Code::InvalidValue,
                asked.origin.clone(),
                message,
            ));
        }
        if INIT.starts_with(&format!("{}/", asked.path.trim_end_matches('/'))) {
            let message = format!("the path of service {name} would hide {INIT}");
            let problem = Diagnostic::new(Code::Overlap, asked.origin.clone(), message);
            out.push(problem.help("give the service another `path`, for example `/run/locket`"));
        }
        let below = format!("{}/", asked.path.trim_end_matches('/'));
        for (target, mount) in &model.mounts {
            let in_the_way = if target == INIT {
                mount.source != PROJECT_VOLUME
            } else if *target == asked.path {
                mount.source != volume_of(name.as_str())
            } else {
                target.starts_with(&below)
            };
            if in_the_way {
                let message = format!("service {name} mounts something of its own at {target}");
                let problem = Diagnostic::new(Code::Overlap, asked.origin.clone(), message);
                out.push(match target.as_str() {
                    INIT => problem.help("locket's shim must be mounted there"),
                    _ => problem.help("give the service another `path`, for example `/run/locket`"),
                });
            }
        }
    }
    out
}
